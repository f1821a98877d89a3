"""One direction of a session over datagrams: records that name their receiver and their number.

The keys of an epoch are those of `bellwire.channel.records`; what differs is that the number
travels, so that records may be lost, doubled and reordered, and that the receiver is named by an
index, so that a session does not depend on addresses. A record has 32 bytes beside its text.

Source: Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", NDSS 2017, 5.4.6 (a
receiver's index, and a counter, in each packet).
"""

import struct
from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, RecordDropped
from bellwire.channel.messages import HEADER_BYTES, Direction, Kind, Suite, header
from bellwire.channel.records import MAX_EPOCH_RECORDS, Chain
from bellwire.channel.symmetric import SECRET_BYTES
from bellwire.channel.window import Window
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHANNEL_INDEX, CHANNEL_NEXT

_PLACE = struct.Struct(">4sQ")
INDEX_BYTES: Final = 4
DATAGRAM_HEADER_BYTES: Final = HEADER_BYTES + _PLACE.size
DATAGRAM_OVERHEAD: Final = DATAGRAM_HEADER_BYTES + TAG_BYTES


def indices(session_id: bytes) -> tuple[bytes, bytes]:
    """The responder's and the initiator's index, 4 bytes each, by which records name them."""
    both = hkdf(session_id, info=CHANNEL_INDEX, length=2 * INDEX_BYTES)
    return both[:INDEX_BYTES], both[INDEX_BYTES:]


@dataclass(frozen=True, slots=True)
class DatagramRecord:
    """A record in its parts, nothing of it checked but its form.

    Attributes:
        kind: As its header says.
        epoch: Low byte of its epoch.
        index: Of its receiver.
        number: In its epoch.
        head: The header, 16 bytes.
        sealed: The rest.
    """

    kind: int
    epoch: int
    index: bytes
    number: int
    head: bytes
    sealed: bytes


def split_datagram(datagram: bytes) -> DatagramRecord:
    """Read a record's header; RecordDropped unless its length is what the header says."""
    if len(datagram) < DATAGRAM_OVERHEAD:
        raise RecordDropped(f"expected a record of {DATAGRAM_OVERHEAD} bytes or more, got less")
    kind, epoch = datagram[0], datagram[1]
    index, number = _PLACE.unpack_from(datagram, HEADER_BYTES)
    sealed = datagram[DATAGRAM_HEADER_BYTES:]
    if int.from_bytes(datagram[2:HEADER_BYTES], "big") != len(sealed):
        raise RecordDropped("expected a record as long as its header says, got another")
    return DatagramRecord(kind, epoch, index, number, datagram[:DATAGRAM_HEADER_BYTES], sealed)


class DatagramChain(Chain):
    """One direction's keys, epoch by epoch, with what came of the present epoch.

    Attributes:
        window: Of the records that came.
    """

    __slots__ = ("_direction", "_index", "_session_id", "window")

    def __init__(
        self, suite: Suite, secret: Secret, session_id: bytes, direction: Direction, epoch: int = 0
    ) -> None:
        self._session_id = session_id
        self._direction = direction
        self._index = indices(session_id)[direction]
        super().__init__(suite, secret, session_id, direction, epoch)

    def _enter(self, secret: Secret, epoch: int) -> None:
        super()._enter(secret, epoch)
        self.window = Window()

    def _ending(self) -> bytes:
        """Nothing: records may be lost, and the receiver cannot tell how many there were."""
        return b""

    def branch(self, secret: Secret, epoch: int) -> "DatagramChain":
        """The chain of another epoch of this direction under `secret`; this one stays."""
        return DatagramChain(self._suite, secret, self._session_id, self._direction, epoch)

    def ahead(self, epochs: int) -> "DatagramChain":
        """The chain as it will be after so many steps, 1 at least; this one stays."""
        raw = self._secret.reveal()
        for _ in range(epochs):
            raw = hkdf(raw, info=CHANNEL_NEXT, length=SECRET_BYTES)
        return self.branch(Secret(raw), self.epoch + epochs)

    def forget_secret(self) -> None:
        """Keep what opens this epoch's records, and nothing that gives another's keys."""
        self._keyed()
        self._secret.wipe()

    def seal(self, kind: Kind, text: bytes) -> bytes:
        """The next record, as a datagram; ChannelMisuse if the epoch has no number left for it."""
        number = self.number
        if number >= MAX_EPOCH_RECORDS:
            raise ChannelMisuse(f"expected at most {MAX_EPOCH_RECORDS} records in an epoch")
        head = header(kind, self.epoch & 0xFF, len(text) + TAG_BYTES)
        head += _PLACE.pack(self._index, number)
        cipher = self._keyed()
        return head + cipher.seal(self._take_nonce(), text, head + self._context)

    def open_at(self, record: DatagramRecord) -> bytes:
        """The text of a record of this epoch, which has not come before.

        Raises:
            RecordDropped: it came before, is too old, or is not the peer's.
        """
        if record.number >= MAX_EPOCH_RECORDS:
            raise RecordDropped(f"expected at most {MAX_EPOCH_RECORDS} records in an epoch")
        self.window.check(record.number)
        cipher = self._keyed()
        nonce = (self._mask ^ record.number).to_bytes(NONCE_BYTES, "big")
        try:
            text = cipher.open(nonce, record.sealed, record.head + self._context)
        except AuthenticationFailed as error:
            raise RecordDropped("expected a record that the peer sealed, got another") from error
        self.window.mark(record.number)
        return text
