"""From a raster pair to a class raster. Knows no users, jobs, HTTP or database."""

from mfnet.model.proj_data import prefer_own

prefer_own()
