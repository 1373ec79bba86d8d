"""The values a person has set. Asks no engine, runs nothing."""
