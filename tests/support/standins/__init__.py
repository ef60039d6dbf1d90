"""Stand-ins for data sets that cannot be had here: the same folders, names and types, small."""
