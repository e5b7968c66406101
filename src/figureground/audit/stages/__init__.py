"""Stages of an audit, in the order of the pipeline: go on, take in, the model that runs, levels, cues."""
