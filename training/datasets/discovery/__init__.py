"""A folder of tiles without a manifest: which files belong together, and what the labels mean."""
