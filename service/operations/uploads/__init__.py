"""Files on their way in, and how many one may send."""
