"""The kit's commands, one module per subject. Each command reads its flags and calls one function."""
