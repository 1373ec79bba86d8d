"""The stack as Compose has it."""
