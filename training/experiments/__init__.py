"""A run from recipe to report, and studies of many."""
