"""bellwire: quantum-safe communication, from photons to messages, between two honest parties."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> tuple[str, str]:
    """Name and version of the distribution that is installed."""
    try:
        return "bellwire", version("bellwire")
    except PackageNotFoundError:
        return "bellwire-device", version("bellwire-device")


DISTRIBUTION, __version__ = _installed()
"""`bellwire`, or `bellwire-device`, the device alone, whose extras are its own; and its release."""
