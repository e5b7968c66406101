"""What is declared before the first image is seen: policy, settings, cues, and what the outputs of a model mean."""
