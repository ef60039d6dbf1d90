"""A class raster as polygons, in strips."""
