"""PostgreSQL of another major version."""
