"""The link that the settings describe, as the link itself wants it told."""

from bellwire.link.config import LinkConfig
from bellwire.link.detectors import Detectors
from bellwire.node.settings import LinkSettings

_IN_TIME = ("dead_gates", "afterpulse", "afterpulse_gates")
"""Settings of the link that are its detectors'."""


def link_config(settings: LinkSettings) -> LinkConfig:
    """The physics of the section `link`."""
    values = settings.model_dump()
    in_time = {name: values.pop(name) for name in _IN_TIME}
    return LinkConfig(**values, detectors=Detectors(**in_time))
