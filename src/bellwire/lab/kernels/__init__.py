"""Kernels of the lab: NumPy arrays in and out, compiled by Numba."""
