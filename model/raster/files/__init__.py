"""One file: what its tags say, whether it may be opened, its pixels as stored."""
