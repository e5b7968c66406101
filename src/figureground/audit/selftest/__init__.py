"""The audit of the auditor: models with a known answer, and what the generator itself says about them."""
