"""Tasks that belong to no other package."""
