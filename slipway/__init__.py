"""The Python behind the tasks: builders return argv lists, one runner executes them."""
