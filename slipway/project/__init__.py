"""A Django project's files. Runs nothing of them."""
