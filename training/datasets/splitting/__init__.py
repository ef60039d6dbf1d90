"""Which tiles train, validate and test, and whether they share ground."""
