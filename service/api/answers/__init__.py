"""How answers are written: JSON, problems, files, ranges."""
