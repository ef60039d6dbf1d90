"""The environment of a process: logging, GDAL, and its end with its parent."""
