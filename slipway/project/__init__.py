"""Reads a Django project's files. Executes none of its code."""
