"""Models as files: reading, writing, finding, downloading and importing them."""
