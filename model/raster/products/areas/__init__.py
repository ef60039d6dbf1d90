"""How much of each class there is: on the map, by its errors, in zones."""
