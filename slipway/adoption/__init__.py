"""Describing an existing project to the kit: its files are read, never imported, run or changed."""
