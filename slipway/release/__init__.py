"""A stack brought up, changed, taken down."""
