"""Makes and measures models. Imports model."""
