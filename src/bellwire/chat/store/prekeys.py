"""Our own prekeys, and what was begun by whose: each one-time prekey serves one session.

`now` is in seconds since the epoch.
"""

import hashlib
import sqlite3
from typing import Final

from bellwire.base.secret import Secret
from bellwire.chat.errors import ChatMisuse
from bellwire.chat.identity import Identity
from bellwire.chat.prekeys import (
    PREKEY_BYTES,
    Bundle,
    Prekey,
    PrekeyKind,
    PrekeySecret,
    make_prekey,
    read_prekey,
)
from bellwire.chat.store.database import Database

LASTING_S: Final = 30 * 86_400
"""How long a prekey counts. Sessions without a one-time prekey are open, that long, to who steals
the lasting one, so it is renewed while half of its time is left."""

MAX_ONE_TIME: Final = 1000
_LATEST: Final = (1 << 63) - 1  # that a row holds; prekeys of others may name any time
_TABLE: Final = "prekeys"


class PrekeyRing:
    """Our prekeys within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database, identity: Identity) -> None:
        self._cursor = cursor
        self._database = database
        self._identity = identity

    def renew(self, one_time: int, now: float) -> list[Prekey]:
        """Have a lasting prekey with half of its time left, and as many one-time ones.

        What has expired is destroyed. The new ones are returned, to be published.

        Raises:
            ChatMisuse: more one-time prekeys than `MAX_ONE_TIME` are asked for.
        """
        if not 0 <= one_time <= MAX_ONE_TIME:
            raise ChatMisuse(f"expected 0 to {MAX_ONE_TIME} one-time prekeys, got {one_time}")
        for table in (_TABLE, "openings"):
            self._cursor.execute(f"DELETE FROM {table} WHERE not_after <= ?", (int(now),))  # noqa: S608 - of the names above
        made = []
        if self._count(PrekeyKind.LASTING, now + LASTING_S / 2) == 0:
            made.append(self._make(PrekeyKind.LASTING, now))
        for _ in range(one_time - self._count(PrekeyKind.ONE_TIME, now)):
            made.append(self._make(PrekeyKind.ONE_TIME, now))
        return made

    def more(self, one_time: int, now: float) -> list[Prekey]:
        """As many new one-time prekeys, for those that were handed out and have not come back.

        Fewer, or none, if the ring would have more than `MAX_ONE_TIME`.
        """
        room = MAX_ONE_TIME - self._count(PrekeyKind.ONE_TIME, now)
        return [self._make(PrekeyKind.ONE_TIME, now) for _ in range(min(one_time, room))]

    def lasting(self, now: float) -> Prekey:
        """Our newest lasting prekey; ChatMisuse if there is none."""
        return self.bundle(now).lasting

    def bundle(self, now: float) -> Bundle:
        """Our newest lasting prekey with one one-time prekey, for somebody we meet in person.

        Raises:
            ChatMisuse: there is no prekey; `renew` makes them.
        """
        rows = self._cursor.execute(
            "SELECT prekey_id, kind FROM prekeys WHERE not_after > ? ORDER BY not_after DESC",
            (int(now),),
        ).fetchall()
        newest = {PrekeyKind(kind): prekey_id for prekey_id, kind in reversed(rows)}
        lasting = self.find(newest.get(PrekeyKind.LASTING, b""), now)
        once = self.find(newest.get(PrekeyKind.ONE_TIME, b""), now)
        if lasting is None:
            raise ChatMisuse("expected a lasting prekey, got none: renew them first")
        return Bundle(self._identity.public, lasting.prekey, None if once is None else once.prekey)

    def invitation(self, now: float) -> Bundle:
        """A bundle with a one-time prekey that was made for it and is given to nobody else."""
        self.renew(0, now)
        lasting = self.bundle(now).lasting
        return Bundle(self._identity.public, lasting, self._make(PrekeyKind.ONE_TIME, now))

    def find(self, prekey_id: bytes, now: float) -> PrekeySecret | None:
        """A prekey of ours that counts."""
        row = self._cursor.execute(
            "SELECT kind, sealed FROM prekeys WHERE prekey_id = ? AND not_after > ?",
            (prekey_id, int(now)),
        ).fetchone()
        if row is None:
            return None
        value = self._database.open(_TABLE, prekey_id, row[1]).reveal()
        public = self._identity.public
        prekey = read_prekey(value[:PREKEY_BYTES], public, PrekeyKind(row[0]), now)
        return PrekeySecret(prekey, Secret(value[PREKEY_BYTES:]))

    def destroy(self, prekey_id: bytes) -> None:
        """Forget a one-time prekey that has served."""
        self._cursor.execute("DELETE FROM prekeys WHERE prekey_id = ?", (prekey_id,))

    def remember_opening(self, opening_id: bytes, now: float) -> None:
        """Never take this opening again, as long as a prekey that it may be for counts."""
        self._cursor.execute(
            "INSERT INTO openings VALUES (?, ?)", (opening_id, int(now) + LASTING_S)
        )

    def use(self, owner: bytes, once: Prekey) -> bool:
        """Count a one-time prekey of somebody else as used, as long as it counts itself.

        Args:
            owner: Their fingerprint.
            once: Verified.

        Returns:
            False if it was used before.
        """
        # It lies among the openings: both are hashes, of what may serve once until some time.
        name = hashlib.sha256(owner + once.prekey_id).digest()
        self._cursor.execute(
            "INSERT OR IGNORE INTO openings VALUES (?, ?)", (name, min(once.not_after, _LATEST))
        )
        return self._cursor.rowcount == 1

    def _make(self, kind: PrekeyKind, now: float) -> Prekey:
        not_after = int(now) + LASTING_S
        made = make_prekey(self._identity, kind, not_after)
        value = made.prekey.encode() + made.seed.reveal()
        prekey_id = made.prekey.prekey_id
        sealed = self._database.seal(_TABLE, prekey_id, value)
        row = (prekey_id, kind, not_after, sealed)
        self._cursor.execute("INSERT INTO prekeys VALUES (?, ?, ?, ?)", row)
        return made.prekey

    def _count(self, kind: PrekeyKind, after: float) -> int:
        (count,) = self._cursor.execute(
            "SELECT count(*) FROM prekeys WHERE kind = ? AND not_after > ?", (kind, int(after))
        ).fetchone()
        return int(count)
