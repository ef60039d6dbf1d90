"""Heights on the orthophoto's grid, and how far they lie beside it."""
