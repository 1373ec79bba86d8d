"""Questions to the Docker engine."""
