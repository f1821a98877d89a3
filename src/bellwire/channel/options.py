"""What one end chooses for a session; the other end follows."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.messages import Transport
from bellwire.channel.padding import Padding
from bellwire.channel.records import MAX_EPOCH_RECORDS


@dataclass(frozen=True, slots=True)
class RekeyLimits:
    """When a sender steps to the next epoch: whatever comes first.

    Attributes:
        records: At most MAX_EPOCH_RECORDS.
        text_bytes: Of what was sealed.
        seconds: Since the epoch's first record.
    """

    records: int = MAX_EPOCH_RECORDS
    text_bytes: int = 2**30
    seconds: float = 600.0

    def __post_init__(self) -> None:
        if not 1 <= self.records <= MAX_EPOCH_RECORDS or self.text_bytes < 1 or self.seconds <= 0:
            raise ChannelMisuse(
                f"expected an epoch of 1 to {MAX_EPOCH_RECORDS} records, and bytes and seconds "
                f"above 0, got {self.records}, {self.text_bytes} and {self.seconds}"
            )


@dataclass(frozen=True, slots=True)
class RefreshLimits:
    """When an initiator should ask for fresh keys: whatever comes first.

    Attributes:
        seconds: Since it last got some.
        text_bytes: Of what it sealed since.
    """

    seconds: float = 3600.0
    text_bytes: int = 2**30


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """One end's choices.

    Attributes:
        padding: What it does about the length of its texts.
        rekey: When it steps to the next epoch.
        refresh: When it should ask for fresh keys, if it is the initiator.
        transport: What carries the session; both ends say the same, or no handshake succeeds.
        clock: Seconds, never going back.
    """

    padding: Padding = Padding.OFF
    rekey: RekeyLimits = field(default_factory=RekeyLimits)
    refresh: RefreshLimits = field(default_factory=RefreshLimits)
    transport: Transport = Transport.STREAM
    clock: Callable[[], float] = time.monotonic
