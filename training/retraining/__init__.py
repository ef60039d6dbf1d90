"""A candidate beside its parent, and the gate that it has to pass."""
