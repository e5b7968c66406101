"""Sheets of single decisions, and the page on the inside of a network."""
