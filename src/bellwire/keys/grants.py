"""Grants: to whom keys were given, under a number that both KMEs know before any key carries it.

A grant is a master and the slaves that it named; its number is part of every key's id, so that the
slave's KME knows who may have a key from the id alone. Numbers count up on the master's side and
are never used again: a proposal is durable before the peer hears of it, and agreed, durably on both
sides, before the first key. Number 0 stands for the consumers at the nodes' own sockets and needs
no agreement.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bellwire.database.cursor import Cursor
from bellwire.keys.database.interface import Database
from bellwire.keys.errors import QuotaReached, StoreCorrupt
from bellwire.keys.key_ids import MAX_GRANT

LOCAL = 0
"""The grant of the nodes' own sockets."""

MAX_OF_MASTER = 4096
"""Grants of one master: sets of slaves that it ever named."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Who gets the keys of a number.

    Attributes:
        own: Whether the master is of this side.
        number: As in ids, of the master's side.
        master: SAE id.
        slaves: SAE ids, in the order named; those of all sites.
        agreed: Whether the peer is known to have it.
    """

    own: bool
    number: int
    master: str
    slaves: tuple[str, ...]
    agreed: bool


class Grants:
    """The grants of a link, durable and in memory. Not to be called from two threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_number: dict[tuple[bool, int], Grant] = {}
        self._own: dict[tuple[str, tuple[str, ...]], Grant] = {}
        self._of_master: dict[str, int] = {}
        self._skipped = LOCAL
        self._stale = False

    def load(self) -> None:
        """Read what the store holds.

        Raises:
            StoreError: it cannot be read.
            StoreCorrupt: the slaves of a grant are not what was written.
        """
        with self._database.transaction() as cursor:
            rows = cursor.execute(
                "SELECT own, number, master, slaves, agreed FROM grants"
            ).fetchall()
        fresh = Grants(self._database)
        for own, number, master, slaves, agreed in rows:
            try:
                names = tuple(str(name) for name in json.loads(slaves))
            except ValueError as error:
                raise StoreCorrupt(f"expected the slaves of grant {number}") from error
            fresh._remember(Grant(bool(own), number, master, names, bool(agreed)))
        for own_side in (True, False):
            fresh._by_number[own_side, LOCAL] = Grant(own_side, LOCAL, "", ("",), agreed=True)
        # At once: somebody may be looking something up meanwhile.
        self._by_number, self._own, self._of_master = fresh._by_number, fresh._own, fresh._of_master
        self._stale = False

    @contextmanager
    def _change(self) -> Iterator[Cursor]:
        """A transaction; where one failed at its end, only the disk knows what there is."""
        self._stale = True  # until it has ended well
        with self._database.transaction() as cursor:
            yield cursor
        self._stale = False

    def _refresh(self) -> None:
        if self._stale:
            self.load()

    def _remember(self, grant: Grant) -> None:
        if (grant.own, grant.number) not in self._by_number and grant.own:
            self._of_master[grant.master] = self._of_master.get(grant.master, 0) + 1
        self._by_number[grant.own, grant.number] = grant
        if grant.own:
            self._own[grant.master, grant.slaves] = grant

    def numbered(self, *, own: bool, number: int) -> Grant | None:
        """The grant of a number; None if there is none."""
        return self._by_number.get((own, number))

    def find(self, master: str, slaves: tuple[str, ...]) -> Grant | None:
        """The own grant of a master and slaves; None if there is none."""
        return self._own.get((master, slaves))

    def propose(self, master: str, slaves: tuple[str, ...]) -> Grant:
        """A new own grant, durable, and not agreed yet; the one that is there, if there is.

        Raises:
            QuotaReached: this master, or this side, has too many.
            StoreError: it could not be stored.
        """
        self._refresh()
        known = self.find(master, slaves)
        if known is not None:
            return known
        number = 1 + max(self.last(own=True), self._skipped)
        if number >= MAX_GRANT or self._of_master.get(master, 0) >= MAX_OF_MASTER:
            raise QuotaReached("too many sets of slaves were named already")
        grant = Grant(True, number, master, slaves, agreed=False)
        self._insert(grant)
        return grant

    def agree(self, number: int) -> Grant | None:
        """The peer has an own grant; None if there is no such one."""
        self._refresh()
        grant = self.numbered(own=True, number=number)
        if grant is None or grant.agreed:
            return grant
        with self._change() as cursor:
            cursor.execute("UPDATE grants SET agreed = 1 WHERE own = 1 AND number = ?", (number,))
        grant = replace(grant, agreed=True)
        self._remember(grant)
        return grant

    def decline(self, number: int, last: int) -> None:
        """The peer did not take an own grant; where its number means another there, pass over.

        So it goes with a store that was put back to before that grant.

        Args:
            number: Of the grant.
            last: The highest own number that the peer knows, if the number was the reason; else 0.
        """
        self._refresh()
        grant = self.numbered(own=True, number=number)
        if grant is None or grant.agreed:
            return
        self._skipped = max(self._skipped, min(last, MAX_GRANT))
        with self._change() as cursor:
            cursor.execute("DELETE FROM grants WHERE own = 1 AND number = ?", (number,))
        del self._by_number[True, number], self._own[grant.master, grant.slaves]
        self._of_master[grant.master] -= 1

    def agree_anew(self) -> None:
        """With a fence the peer is asked once more: its store may know less than it did.

        `Pool.fence` makes it durable with the fence; nobody is to rely on a grant from here on.
        """
        for (own, number), grant in list(self._by_number.items()):
            if own and number != LOCAL:
                self._remember(replace(grant, agreed=False))

    def last(self, *, own: bool) -> int:
        """The highest number of a side's grants; LOCAL if there is none."""
        return max((number for mine, number in self._by_number if mine is own), default=LOCAL)

    def accept(self, number: int, master: str, slaves: tuple[str, ...]) -> bool:
        """Take in a grant that the peer proposes; False if its number says something else here."""
        self._refresh()
        known = self.numbered(own=False, number=number)
        if known is not None:
            return (known.master, known.slaves) == (master, slaves)
        self._insert(Grant(False, number, master, slaves, agreed=True))
        return True

    def totals(self) -> list[tuple[Grant, int, int]]:
        """Grants with the keys and bits that left under each."""
        with self._database.transaction() as cursor:
            rows = cursor.execute("SELECT own, number, keys, bits FROM grants").fetchall()
        return [
            (self._by_number[bool(own), number], keys, bits)
            for own, number, keys, bits in rows
            if (bool(own), number) in self._by_number
        ]

    def _insert(self, grant: Grant) -> None:
        with self._change() as cursor:
            cursor.execute(
                "INSERT INTO grants (own, number, master, slaves, agreed) VALUES (?, ?, ?, ?, ?)",
                (
                    int(grant.own),
                    grant.number,
                    grant.master,
                    json.dumps(grant.slaves),
                    int(grant.agreed),
                ),
            )
        self._remember(grant)
