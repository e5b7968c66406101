"""Charts as SVG images, one file a family."""
