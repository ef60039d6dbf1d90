"""Rasters on disk: read, checked, aligned; class rasters written. Imports no torch."""
