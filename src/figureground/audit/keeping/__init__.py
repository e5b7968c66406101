"""What a run keeps on disk: its folder, tables, journal, lock and seal. No torch, no model."""
