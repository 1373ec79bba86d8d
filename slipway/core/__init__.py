"""No import of another package. Nothing here knows Docker or Django."""
