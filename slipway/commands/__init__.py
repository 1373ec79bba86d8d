"""Single tasks that belong to no other package."""
