"""Worlds with known effects, and how often the intervals of the audit hold them; run by ``benchmarks/coverage.py``."""
