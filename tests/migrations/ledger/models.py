"""The state that the migrations lead to; nothing uses it."""
