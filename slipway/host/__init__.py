"""This machine: its system, packages and engine. Knows nothing of stacks."""
