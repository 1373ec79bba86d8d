"""Start, release, roll back and stop a stack."""
