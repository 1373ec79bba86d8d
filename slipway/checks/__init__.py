"""Checks of machine, settings and stack; they change nothing."""
