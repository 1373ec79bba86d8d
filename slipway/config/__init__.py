"""The values that a person has set. Queries no engine, runs no command."""
