"""Backups, restores and imports."""
