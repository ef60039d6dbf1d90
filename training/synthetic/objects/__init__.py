"""What stands in a town: buildings, cars, trees, clutter."""
