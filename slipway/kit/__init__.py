"""The kit's own files: copies inside projects, upgrades, new projects."""
