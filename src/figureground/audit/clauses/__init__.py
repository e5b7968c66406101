"""On which provisions the evidence of an audit bears: a dated pack of facts, and what a run has of each kind."""
