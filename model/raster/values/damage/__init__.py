"""Parts of a raster that hold no measurement though they look like one: told."""
