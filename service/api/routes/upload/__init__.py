"""Routes of files that are sent, and of what is made of corrections."""
