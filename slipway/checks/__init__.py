"""Looks, changes nothing."""
