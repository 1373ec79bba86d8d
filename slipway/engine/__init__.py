"""Queries to the Docker engine."""
