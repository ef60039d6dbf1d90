"""The algorithms of the provider, one a file."""
