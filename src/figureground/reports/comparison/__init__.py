"""How people read a comparison of two audits; takes its document, never loads torch."""
