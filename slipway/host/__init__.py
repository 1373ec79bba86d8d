"""This machine. Knows no stack."""
