"""What is made of a pair: the class raster, its areas, its parts, differences of maps."""
