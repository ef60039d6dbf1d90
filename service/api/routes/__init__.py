"""One file a resource; endpoints of a few lines."""
