"""The tables of a recipe."""
