"""Inner loops of the link: arrays in, arrays out, numba and NumPy only."""
