"""What the numbers of a raster mean: decided once, from tags and a sample, before anything is read.

Each decision is a remark with its reason, and has an option (`options.ReadingOptions`) that
overrides it. What the evidence leaves in doubt is asked for by `AmbiguousInput`, never guessed.
Decisions belong to a raster as a whole and hold for all of its windows.
"""
