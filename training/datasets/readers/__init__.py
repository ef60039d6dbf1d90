"""Pixels and labels of tiles, from files."""
