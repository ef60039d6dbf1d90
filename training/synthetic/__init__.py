"""What a synthetic town is made of: ground, houses, plants, cars, clutter, and the light on them.

Every painter works on a `Canvas` in metres (row downwards, column to the right, origin at the upper
left corner) and takes its randomness from the generator that it is given, so that a seed makes the
same town again.
"""
