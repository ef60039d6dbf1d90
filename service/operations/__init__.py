"""What requests do; knows no HTTP."""
