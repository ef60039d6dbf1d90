"""Files of polygons: what is read of strangers, and what is written."""
