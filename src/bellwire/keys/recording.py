"""What a key store tells the log of its link: entries, in the transaction of what they tell.

A key exchange is a block that became ready: from then on both sites have its bits in common. One
whose key is a session's pad names the two SAEs; any other the two nodes. Keys that leave are no
entries: their bits were recorded with the block, and who had them is the audit log's to say.

No bit of a key is near an entry, nor anything computed from one.
"""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from bellwire.base.detections import Side
from bellwire.base.protocols import Protocol
from bellwire.database.cursor import Cursor
from bellwire.keys.model import BlockRecord
from bellwire.keys.sealing import Sealer
from bellwire.keys.session_pads import PadFor
from bellwire.keys.status import Status
from bellwire.ledger.entries.fields import NAME, one_line
from bellwire.ledger.entries.model import BlockRejected, KeyExchange, LinkStatus
from bellwire.ledger.outbox.outbox import UNNUMBERED, Salts, put

NODES: Final = {Side.ALICE: "node-a", Side.BOB: "node-b"}
"""Nodes of a link, by the names that their sites have everywhere."""

_BLOCKS: Final = UUID("8d0e2c5a-6f0f-5c39-9a4e-0a4c2f3b7d11")
"""Namespace of the ids of blocks (RFC 9562, 5.5)."""

_PUBLIC: Final = re.compile(NAME)
_MILLION: Final = 10**6


@dataclass(frozen=True, slots=True)
class Rejection:
    """A block, or a probe, that gave no key.

    Attributes:
        at: When that was decided, seconds since the epoch.
        block: Its number; None for a probe.
        protocol: How it was made; None for a vendor's keys.
        reason: Why, in words.
        qber: Its error rate, if it came so far.
        chsh: Its S, if it came so far.
    """

    at: float
    block: int | None
    protocol: Protocol | None
    reason: str
    qber: float | None
    chsh: float | None


class Recording:
    """Entries of one store; each call is within a transaction.

    Args:
        link: Name of the link in the log.
        side: Whose store it is.
        sealer: Of the store: seals salts, which are secret.
    """

    def __init__(self, link: str, side: Side, sealer: Sealer) -> None:
        box = sealer.box("outbox_salts", 0)
        self._link = link
        self._node = NODES[side]
        self._salts = Salts(lambda salt: box.seal(0, salt), lambda sealed: box.open(0, sealed))

    def block_ready(self, cursor: Cursor, block: BlockRecord, pad: PadFor | None) -> None:
        """Both sites have a block's bits."""
        if pad is None:
            key_id = uuid5(_BLOCKS, f"{self._link} {block.block}")
            parties, bits = tuple(NODES.values()), block.secret_bits
        else:
            key_id, bits = UUID(bytes=pad.key_id), pad.bits
            parties = self._party(cursor, pad.master), self._party(cursor, pad.slave)
        entry = KeyExchange(
            **UNNUMBERED,
            at=_milliseconds(block.decided_at),
            id=str(key_id),
            parties=parties,
            bits=bits,
            source=block.source.value,
            node=self._node,
            block=block.block,
            qber=_millionths(block.qber),
            chsh=_millionths(block.chsh),
        )
        put(cursor, [entry])

    def rejected(self, cursor: Cursor, rejections: list[Rejection]) -> None:
        """Blocks gave no key."""
        put(
            cursor,
            [
                BlockRejected(
                    **UNNUMBERED,
                    at=_milliseconds(each.at),
                    link=self._link,
                    node=self._node,
                    reason=one_line(each.reason),
                    block=each.block,
                    protocol=None if each.protocol is None else each.protocol.value,
                    qber=_millionths(each.qber),
                    chsh=_millionths(each.chsh),
                )
                for each in rejections
            ],
        )

    def status(
        self,
        cursor: Cursor,
        *,
        at: float,
        status: Status,
        stale: bool,
        reason: str,
        qber: float | None,
    ) -> None:
        """The link's status is another one than before, since `at`: seconds since the epoch."""
        entry = LinkStatus(
            **UNNUMBERED,
            at=_milliseconds(at),
            link=self._link,
            node=self._node,
            status=status.value,
            stale=stale,
            reason=one_line(reason),
            qber=_millionths(qber),
        )
        put(cursor, [entry])

    def _party(self, cursor: Cursor, sae: str) -> str:
        """A name that is fit to be public stands for itself."""
        return sae if _PUBLIC.fullmatch(sae) else self._salts.commitment(cursor, sae)


def _milliseconds(at: float) -> int:
    return max(0, round(1000 * at))


def _millionths(value: float | None) -> int | None:
    return None if value is None else round(_MILLION * value)
