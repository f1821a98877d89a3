"""Inner loops of the primitives: arrays in, arrays out, numba and NumPy only."""
