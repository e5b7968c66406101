"""A run in several parts: whose shards are whose, and how they come together."""
