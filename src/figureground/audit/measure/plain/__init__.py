"""Plain interventions: changes without a donor, and properties of the whole picture in doses and places."""
