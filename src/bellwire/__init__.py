"""bellwire: quantum-safe communication, from photons to messages, between two honest parties."""

from importlib.metadata import PackageNotFoundError, version


def _version() -> str:
    """That of the distribution that is installed: all of bellwire, or the device alone."""
    try:
        return version("bellwire")
    except PackageNotFoundError:
        return version("bellwire-device")


__version__ = _version()
