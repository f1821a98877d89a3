"""What the processes of one site tell each other through their store, on PostgreSQL.

The node owns the store and has the link: it alone distils, talks to the peer's KME, proposes grants
and fences. Further processes hand out keys of the same pool. What they must know, the node says in
one row, some times a second: its status of the link, whether the two pools agree and up to where,
the peer's SAEs. What they need, they ask for: a grant for SAEs that never had a key together.

What always holds: a word counts only while the node goes on speaking. Its number (`beat`) grows
with each word and is compared with the listener's own clock, so that no clock of another machine is
believed, and a row that a dead node left counts for nothing. `now` is in seconds since the epoch.
"""

import json
from typing import Annotated

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.keys.database.interface import Database
from bellwire.keys.errors import QuotaReached, StoreCorrupt
from bellwire.keys.kme import MAX_SAE_ID
from bellwire.keys.model import KeySourceKind
from bellwire.keys.peering.messages import MAX_SAES, MAX_SLAVES
from bellwire.keys.status import StatusView

MAX_WANTED = 1024
"""Grants that may be asked for at once."""

KEPT_S = 30.0
"""Age at which a wish is forgotten: whoever had it is gone."""

AGREED, REFUSED = "agreed", "refused"
"""What the peer said to a wish."""

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_SAE_ID)]
_Count = Annotated[int, Meta(ge=0, le=1 << 62)]


class Word(msgspec.Struct, frozen=True):
    """What the node says.

    Attributes:
        kme: Id of this site's KME.
        source: Where the link's keys come from.
        view: The link's status, without its history.
        met: Whether the two pools agree, as `peering.session.Peer.met`.
        peer: Id of the peer's KME; empty before it was met.
        saes: SAEs of the peer's site.
        epoch: Of the pool that is agreed on.
        confirmed: Unit up to which both sides number alike, in that epoch.
    """

    kme: _Name
    source: KeySourceKind
    view: StatusView
    met: bool
    peer: Annotated[str, Meta(max_length=MAX_SAE_ID)]
    saes: Annotated[list[_Name], Meta(max_length=MAX_SAES)]
    epoch: _Count
    confirmed: _Count


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Word)
_slaves = msgspec.json.Decoder(
    Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=MAX_SLAVES)]
)


class Sharing:
    """The board between the processes of a site; each method is one transaction.

    Args:
        database: Of the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # The node

    def say(self, word: Word, now: float) -> None:
        """Put up the node's word, and forget wishes that are too old.

        Args:
            word: Taken for true while words go on.
            now: Seconds since the epoch.
        """
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO node_word (id, beat, word) VALUES (1, 1, ?) "
                "ON CONFLICT (id) DO UPDATE SET beat = node_word.beat + 1, word = excluded.word",
                (_encoder.encode(word),),
            )
            cursor.execute(
                "DELETE FROM wanted WHERE at < ? OR at > ?", (now - KEPT_S, now + KEPT_S)
            )

    def wanted(self) -> list[tuple[str, tuple[str, ...]]]:
        """(master, slaves) of grants that somebody waits for.

        Raises:
            StoreCorrupt: they are not what was put there.
        """
        with self._database.transaction() as cursor:
            rows = cursor.execute(
                "SELECT master, slaves FROM wanted WHERE answer = '' LIMIT ?", (MAX_WANTED,)
            ).fetchall()
        try:
            return [(master, _slaves.decode(slaves)) for master, slaves in rows]
        except UNDECODABLE as error:
            raise StoreCorrupt("expected wishes for grants in the store, got another") from error

    def answer(self, master: str, slaves: tuple[str, ...], said: str) -> None:
        """What the peer said to a wish."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE wanted SET answer = ? WHERE master = ? AND slaves = ?",
                (said, master, json.dumps(slaves)),
            )

    # Whoever hands out keys beside it

    def heard(self) -> tuple[int, Word] | None:
        """The last word and its number; None if there never was one.

        Raises:
            StoreCorrupt: it is none.
        """
        with self._database.transaction() as cursor:
            row = cursor.execute("SELECT beat, word FROM node_word").fetchone()
        if row is None:
            return None
        try:
            return int(row[0]), _decoder.decode(row[1])
        except UNDECODABLE as error:
            raise StoreCorrupt("expected the node's word in the store, got another") from error

    def want(self, master: str, slaves: tuple[str, ...], now: float) -> None:
        """Ask the node for a grant; again is harmless.

        Raises:
            QuotaReached: too many are waited for.
        """
        with self._database.transaction() as cursor:
            (waiting,) = cursor.execute("SELECT COUNT(*) FROM wanted").fetchone()
            if waiting >= MAX_WANTED:
                raise QuotaReached("too many new sets of slaves are waited for")
            cursor.execute(
                "INSERT INTO wanted (master, slaves, at) VALUES (?, ?, ?) "
                "ON CONFLICT (master, slaves) DO UPDATE SET at = excluded.at, answer = ''",
                (master, json.dumps(slaves), now),
            )

    def answered(self, master: str, slaves: tuple[str, ...]) -> str:
        """What the peer said; empty as long as nobody knows."""
        with self._database.transaction() as cursor:
            row = cursor.execute(
                "SELECT answer FROM wanted WHERE master = ? AND slaves = ?",
                (master, json.dumps(slaves)),
            ).fetchone()
        return "" if row is None else str(row[0])
