"""The network. Imports torch and segment-anything; reads no file."""
