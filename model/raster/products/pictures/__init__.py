"""Class rasters for a screen."""
