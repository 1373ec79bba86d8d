"""The base of all packages: imports none of them and knows nothing of Docker or Django."""
