"""The same result for machines and for other programs: every format shows the same findings with the same states."""
