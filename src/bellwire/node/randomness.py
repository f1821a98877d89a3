"""Where a node's random bytes come from, as its settings say."""

from collections.abc import Callable

import structlog

from bellwire.base.private import expanded
from bellwire.crypto.randomness.device import path_of
from bellwire.crypto.randomness.source import OperatingSystem, RandomSource
from bellwire.node.settings import RandomSettings

log = structlog.get_logger()


def open_random(
    settings: RandomSettings, failed: Callable[[str], None] = lambda why: None
) -> RandomSource:
    """The source that `random.source` names, ready to be drawn from.

    A device is tested first, which waits for it.

    Args:
        settings: Section `random`.
        failed: Told once, in words without secrets, when a device fails.

    Raises:
        DeviceUnusable: there is no such device.
        PathUnusable: it is in the home of nobody.
        RandomnessFailed: it failed the start-up test, or does not give enough in time.
    """
    path = path_of(settings.source)
    if path is None:
        return OperatingSystem()
    # Its generator is compiled; whoever draws from the operating system goes without.
    from bellwire.crypto.randomness.hardware import HardwareSource  # noqa: PLC0415

    return HardwareSource.start(
        expanded(path),
        entropy_per_byte=settings.entropy_per_byte,
        false_alarm_log2=settings.false_alarm_log2,
        reseed_s=settings.reseed_s,
        timeout_s=settings.timeout_s,
        failed=failed,
    )


def tell_opened(source: RandomSource, settings: RandomSettings) -> None:
    """Log what a node draws from."""
    stated = {} if source.assumption is None else {"entropy_per_byte": settings.entropy_per_byte}
    log.info("random source", source=source.name, **stated)


def tell_failed(reason: str) -> None:
    """Log why a device gives nothing more."""
    log.error("random device failed", why=reason)
