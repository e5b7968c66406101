"""Train with Lightning, load safely, wrap, check that a model can be audited."""
