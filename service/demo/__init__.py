"""The guided story of `mfnet demo`."""
