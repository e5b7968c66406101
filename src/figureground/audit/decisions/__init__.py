"""Single decisions and the inside of a network: explained, asked what would change them, shown."""
