"""The data folder: uploads, results, models."""
