"""Two sites' key servers in memory: each key leaves each of them once, and Eve can be let in."""

import random
import uuid
from collections.abc import Awaitable, Callable, Sequence

from bellwire.base.secret import Secret
from bellwire.etsi014.errors import (
    KmeRejected,
    KmeUnavailable,
    KmeUnreachable,
    SessionAborted,
)
from bellwire.etsi014.exchange import Key
from bellwire.etsi014.fresh import FreshPad
from bellwire.etsi014.messages import Status
from bellwire.etsi014.record import SessionRecord, StepTime


class Link:
    """What both servers have alike.

    Attributes:
        eve: Whether sessions are aborted.
        eve_at: The SAE with which sessions are aborted.
        down: The SAE whose server does not answer.
        loses: Keys that are lost when they are fetched next.
        spoils: Keys that are others when they are fetched next.
        pieces: Bytes of the pieces in which the stock lies: no key is longer; None: one piece.
        lost: How often a key was asked for that is not there.
    """

    def __init__(self, stock_bytes: int = 1 << 20, seed: int = 1) -> None:
        self.stock = stock_bytes
        self.eve = False
        self.eve_at = ""
        self.down = ""
        self.loses = 0
        self.spoils = 0
        self.pieces: int | None = None
        self.lost = 0
        self.drawn = random.Random(seed)
        self.waiting: dict[tuple[str, str], bytes] = {}
        self.records: dict[str, SessionRecord] = {}
        self.given: list[bytes] = []
        self.sessions = 0

    def record(self, session: str, master: str, slave: str, bits: int) -> SessionRecord:
        eve = self.eve or self.eve_at in {master, slave}
        made = SessionRecord(
            session, master, slave, "simulated", 1e9, "abort" if eve else "accept",
            "chsh below limit" if eve else None, None, 150_000, 150_000, 33_000, 100_000,
            1.36 if eve else 2.72, 0.011, 1.3 if eve else 2.68, 0.14 if eve else 0.02, 0.001,
            0 if eve else 7000, 0 if eve else 128, 0 if eve else bits, None if eve else 1e-10,
            98_000, [StepTime("opening", 1.0)], 50.0,
        )  # fmt: skip
        self.records[session] = made
        return made


class Server:
    """One site's, for one SAE; as `bellwire.chat.messenger.keys.KeyServer`."""

    def __init__(self, link: Link, sae: str) -> None:
        self.link, self.sae = link, sae
        self.followed: Callable[[str], Awaitable[None]] | None = None
        """Awaited with the mark of each session that has one, before it ends."""

    def _up(self) -> None:
        if self.link.down == self.sae:
            raise KmeUnreachable("no connection to the key server")

    def _fetched(self, master: str, key_id: str) -> bytes:
        found = self.link.waiting.pop((master, key_id), None)
        if self.link.loses:
            self.link.loses -= 1
            found = None
        if found is None:
            self.link.lost += 1
            raise KmeRejected("one or more keys specified are not found on KME")
        if self.link.spoils:
            self.link.spoils -= 1
            found = bytes([found[0] ^ 1]) + found[1:]
        return found

    async def fresh(self, slave: str, bits: int, mark: str = "") -> FreshPad:
        self._up()
        if mark and self.followed is not None:
            await self.followed(mark)
        self.link.sessions += 1
        session = str(uuid.UUID(bytes=self.link.drawn.randbytes(16)))
        record = self.link.record(session, self.sae, slave, bits)
        if not record.accepted:
            raise SessionAborted(record)
        pad = self.link.drawn.randbytes(bits // 8)
        self.link.given.append(pad)
        self.link.waiting[self.sae, session] = pad
        return FreshPad(session, Secret(pad), record)

    async def pad(self, master: str, pad_id: str) -> FreshPad:
        self._up()
        record = self.link.records.get(pad_id)
        if record is not None and not record.accepted:
            raise SessionAborted(record)
        return FreshPad(pad_id, Secret(self._fetched(master, pad_id)), record)

    async def get_keys(self, slave: str, number: int = 1, bits: int | None = None) -> list[Key]:
        self._up()
        size = (bits or 256) // 8
        pieces = self.link.pieces or self.link.stock
        if size > pieces or number > self.link.stock // pieces * (pieces // size):
            raise KmeUnavailable("too few keys")
        self.link.stock -= number * size
        keys = []
        for _ in range(number):
            key_id, key = (
                str(uuid.UUID(bytes=self.link.drawn.randbytes(16))),
                self.link.drawn.randbytes(size),
            )
            self.link.given.append(key)
            self.link.waiting[self.sae, key_id] = key
            keys.append(Key(key_id, Secret(key)))
        return keys

    async def get_keys_with_ids(self, master: str, key_ids: Sequence[str]) -> list[Key]:
        self._up()
        return [Key(each, Secret(self._fetched(master, each))) for each in key_ids]

    async def status(self, slave: str) -> Status:
        self._up()
        status = "RED" if self.link.eve else "GREEN"
        extension = {"source": "simulated", "link_status": status}
        return Status(
            "kme-1", "kme-2", self.sae, slave, 256, 100, 1000, 128, 4096, 64, 0, extension
        )
