"""The engine process and both ends of what is said to it."""
