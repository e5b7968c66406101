"""What leaves the house: editions of a run, small cells hidden, ids under a key; and people taken out of a run."""
