"""Keys that wait for SAEs of a site that has no link of its own for them: those that were carried.

They came from elsewhere, whole, or were made here, and are the same rows as a link's copies
(`copies`): sealed, each with its master and the slaves that have not had it. What always holds:

- A key is durable before `keep` returns, and its mark before `hand_out` returns it.
- A slave gets a key once; all keys of a request are handed out, or none.
- What everybody has had, or nobody asked for in time, is erased, and `clean` leaves no copy of it.

Methods may be called from any thread; each waits for the disk.
"""

import json
import threading
from collections.abc import Sequence

from bellwire.base.secret import Secret
from bellwire.keys import copies
from bellwire.keys.database.interface import Database
from bellwire.keys.errors import StoreError
from bellwire.keys.key_ids import unknown
from bellwire.keys.kme import KEY_ID_BYTES, Delivery
from bellwire.keys.sealing import Sealer

MAX_WAITING = 10_000_000
"""Keys that may wait at once; what would be more is refused."""


class Waiting:
    """The keys that wait in one store.

    Args:
        database: Of the store.
        sealer: Of the store.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._lock = threading.Lock()
        self._in_log = True  # what an earlier process erased, perhaps
        with database.transaction() as cursor:
            (self._count,) = cursor.execute("SELECT COUNT(*) FROM copies").fetchone()

    def __len__(self) -> int:
        return int(self._count)

    def keep(
        self, ids: bytes, keys: Secret, master: str, slaves: Sequence[str], now: float
    ) -> None:
        """Keep keys of one length for each of `slaves`.

        Args:
            ids: `KEY_ID_BYTES` for each key, none known here.
            keys: All of them, in the order of `ids`. Secret.
            master: Who got them first.
            slaves: Who may have them here.
            now: Seconds since the epoch.

        Raises:
            StoreError: none is kept.
        """
        names, data = each_id(ids), keys.reveal()
        length = len(data) // len(names)
        pairs = [(name, data[i * length : (i + 1) * length]) for i, name in enumerate(names)]
        with self._lock:
            if self._count + len(pairs) > MAX_WAITING:
                raise StoreError(f"expected at most {MAX_WAITING:,} keys that wait, got more")
            with self._database.transaction() as cursor:
                if any(copies.is_here(cursor, name) for name in names):
                    raise StoreError("expected keys under new ids, got an id that is taken")
                copies.put(
                    cursor, self._sealer, pairs, master, tuple(slaves), linked=False, now=now
                )
            self._count += len(pairs)

    def hand_out(self, ids: bytes, slave: str, master: str) -> Delivery:
        """Keys that `master` got, for a slave; in the order asked.

        Raises:
            KeyNotGranted: one was not granted to the slave.
            KeyGone: one is not here, or of another master, or the slave has had it.
            StoreError: the store could not do it; what the disk holds is what counts.
        """
        names = each_id(ids)
        with self._lock:
            with self._database.transaction() as cursor:
                found = copies.find(cursor, self._sealer, names, slave)
                if len(set(names)) < len(names) or any(copy.master != master for copy in found):
                    raise unknown(names[0])
                copies.hand_out(cursor, found, slave)
            self._count -= sum(copy.waiting == (slave,) for copy in found)
            self._in_log = True
        lengths = tuple(len(copy.key) for copy in found)
        same = len(set(lengths)) == 1
        return Delivery(
            ids,
            Secret(b"".join(copy.key for copy in found)),
            8 * lengths[0] if same else None,
            None if same else lengths,
        )

    def discard(self, ids: bytes, masters: Sequence[str]) -> int:
        """Erase keys that one of `masters` got, whoever waits for them; how many there were.

        Raises:
            StoreError: none was erased.
        """
        with self._lock, self._database.transaction() as cursor:
            gone = 0
            for name in each_id(ids):
                row = cursor.execute("SELECT master FROM copies WHERE id = ?", (name,)).fetchone()
                if row is not None and row[0] in masters:
                    cursor.execute("DELETE FROM copies WHERE id = ?", (name,))
                    gone += 1
            self._in_log = self._in_log or gone > 0
            self._count -= gone
        return gone

    def expire(self, before: float) -> int:
        """Erase what has waited since before a time; how many keys.

        Raises:
            StoreError: none was erased.
        """
        with self._lock:
            with self._database.transaction() as cursor:
                gone = copies.expire(cursor, before)
            self._count -= gone
            self._in_log = self._in_log or gone > 0
        return gone

    def of_slaves(self) -> dict[str, int]:
        """How many keys wait for whom.

        Raises:
            StoreError: the store cannot be read.
        """
        with self._lock, self._database.transaction() as cursor:
            rows = cursor.execute(
                "SELECT waiting, COUNT(*) FROM copies GROUP BY waiting"
            ).fetchall()
        found: dict[str, int] = {}
        for waiting, count in rows:
            for name in json.loads(waiting):
                found[name] = found.get(name, 0) + count
        return found

    def clean(self) -> None:
        """Leave no copy of what was erased.

        Raises:
            StoreError: there may be one.
        """
        with self._lock:
            if self._in_log:
                self._database.truncate()
                self._in_log = False


def each_id(ids: bytes) -> list[bytes]:
    """Ids, one by one."""
    return [ids[at : at + KEY_ID_BYTES] for at in range(0, len(ids), KEY_ID_BYTES)]
