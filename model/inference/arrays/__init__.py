"""The arrays that the engine computes with: NumPy's on a processor, torch's on a device."""
