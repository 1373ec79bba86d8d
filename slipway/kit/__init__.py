"""The kit's own files: copying them into a project, bringing them up to date, making a project of them."""
