"""How a town is divided: streets, blocks, estates, gardens."""
