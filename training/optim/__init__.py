"""Optimizer, learning-rate schedule, losses, average of weights."""
