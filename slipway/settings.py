"""Nothing imports this: `invoke upgrade` of an earlier kit takes a folder with such a file for a kit."""
