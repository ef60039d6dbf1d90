"""Land-cover maps from an orthophoto and a height raster."""
