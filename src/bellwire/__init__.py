"""bellwire: quantum-safe communication, from photons to messages, between two honest parties."""

from importlib.metadata import version

__version__ = version("bellwire")
