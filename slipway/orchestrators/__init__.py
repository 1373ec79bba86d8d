"""The stack as Compose sees it."""
