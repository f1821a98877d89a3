"""How long an end has sent under its keys, and how much: by which it takes others in time.

A sender steps to its next epoch on its own; an initiator asks for fresh keys. Both have limits of
records, bytes and seconds (`bellwire.channel.options`), and one object counts for both.
"""

from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.options import SessionOptions
from bellwire.channel.records import MAX_EPOCHS, Chain


class KeyAge:
    """Of what one end sends in a session.

    Args:
        options: The end's limits, and its clock.
    """

    __slots__ = ("_began", "_bytes", "_clock", "_fresh_bytes", "_fresh_since", "_limits")

    def __init__(self, options: SessionOptions) -> None:
        self._limits = (options.rekey, options.refresh)
        self._clock = options.clock
        self.renew()

    def __repr__(self) -> str:
        return f"KeyAge({self._fresh_bytes} bytes since fresh keys)"

    def renew(self) -> None:
        """The session has fresh keys from here on."""
        self._began = self._fresh_since = self._clock()
        self._bytes = self._fresh_bytes = 0

    @property
    def refresh_due(self) -> bool:
        """Whether fresh keys should be asked for."""
        limits = self._limits[1]
        age = self._clock() - self._fresh_since
        return age >= limits.seconds or self._fresh_bytes >= limits.text_bytes

    def count(self, chain: Chain, text_bytes: int) -> None:
        """Count a record that is about to be sealed; before, step on when the epoch has had enough.

        Raises:
            ChannelMisuse: there are no epochs left.
        """
        limits, now = self._limits[0], self._clock()
        if (
            chain.number >= limits.records
            or self._bytes >= limits.text_bytes
            or now - self._began >= limits.seconds
        ):
            if chain.epoch + 1 >= MAX_EPOCHS:
                raise ChannelMisuse(
                    f"expected at most {MAX_EPOCHS} epochs in a session",
                    hint="Close this session and open another.",
                )
            chain.step()
            self._began, self._bytes = now, 0
        self._bytes += text_bytes
        self._fresh_bytes += text_bytes
