"""How a cue's value travels from a donor to a recipient: one small class per kind of cue, pixels only, no model."""
