"""Images and their inputs."""
