"""Which worker computes which job, and what becomes of it."""
