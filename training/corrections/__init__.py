"""A corrected map becomes labels."""
