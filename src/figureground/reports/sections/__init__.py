"""The parts of the page, one file each: from tables and document to what the templates show."""
