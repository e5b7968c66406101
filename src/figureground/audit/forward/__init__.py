"""What a forward pass of somebody's network gives, and whose fault it is where it gives nothing."""
