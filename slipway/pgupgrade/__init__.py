"""Upgrade to another major version of PostgreSQL."""
