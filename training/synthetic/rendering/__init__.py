"""Pixels of a town: canvas, light, noise, colours."""
