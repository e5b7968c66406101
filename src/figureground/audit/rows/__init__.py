"""What is known of each row beside its picture: level, half, set aside, seen in training."""
