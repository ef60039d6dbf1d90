"""The engine: windows in, class rows out."""
