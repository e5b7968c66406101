"""``audit.json`` and what a sheet says: frozen values, read by people and machines without torch."""
