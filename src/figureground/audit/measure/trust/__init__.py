"""Can the maps of this model be trusted: the sanity checks on attribution, run once per audit on a few rows."""
