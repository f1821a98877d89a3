"""The key store of one side of a link: blocks, authentication reserve, and the pool's segments.

What always holds:

- A tag pad is deleted durably BEFORE it is returned. A crash in between loses it; nothing is ever
  returned twice, at this side. Keys are handed out by `pool`, by the same rule.
- Each method is one transaction: after an error or a crash the store is as before or as after.
- A block gives bits only when it is `ready`, which both sides make it in ascending order, so that
  both carve the same pad sets and units from it (see `reserve` and `pool`).
- Nothing secret is in the file unsealed (see `sealing`).

Methods may be called from any thread; each waits for the disk, so an event loop calls them in one.
"""

import hmac
import secrets
from contextlib import AbstractContextManager
from dataclasses import replace

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.database.cursor import Cursor
from bellwire.keys import history as histories
from bellwire.keys import segments, session_pads
from bellwire.keys.carving import ReadyBlock, carve, plan
from bellwire.keys.database.interface import Database, Place
from bellwire.keys.database.opening import open_database
from bellwire.keys.errors import (
    BlockConflict,
    BlockNumberUsed,
    PreplacedKeyInvalid,
    ReserveExhausted,
    StoreCorrupt,
    StoreRefused,
)
from bellwire.keys.grants import Grants
from bellwire.keys.history import History
from bellwire.keys.model import (
    MAX_BLOCK,
    BlockRecord,
    BlockState,
    ContactMethod,
    FirstContact,
)
from bellwire.keys.pool import Pool
from bellwire.keys.recording import Recording
from bellwire.keys.reserve import AuthenticationKeys, Pads, cut_preplaced
from bellwire.keys.rows import (
    block_row,
    check_order,
    first_contact,
    fixed_keys,
    marks,
    pool_marks,
    there,
)
from bellwire.keys.sealing import DATA_KEY_BYTES, STORE_ID_BYTES, Box, Sealer
from bellwire.keys.session_pads import PadFor
from bellwire.keys.sharing import Sharing
from bellwire.keys.status_log import StatusLog
from bellwire.keys.waiting import Waiting

BROUGHT = FirstContact()
"""A pre-placed key that was brought by hand."""

_CHECK = b"this key-encryption key opens this store"


class KeyStore:
    """The store of one side; `open` is the way to one, `close` gives it up."""

    def __init__(
        self, database: Database, sealer: Sealer, side: Side, *, further: bool = False
    ) -> None:
        self._further = further
        self._database = database
        self._sealer = sealer
        self._recording: Recording | None = None
        self.side = side

    def __repr__(self) -> str:
        return f"KeyStore({self.side.value})"

    @classmethod
    def open(
        cls, place: Place, data_key: Secret, side: Side, *, shared: bool = False
    ) -> "KeyStore":
        """Open the store at a place, or make an empty one.

        Args:
            place: A file, whose folder is the node's own (0700, made if missing); or a schema on
                a PostgreSQL server.
            data_key: 32 bytes, from `kek.envelope`. Secret.
            side: Whose store this is.
            shared: For one more process beside the node: for its pool and its grants alone.

        Raises:
            PathUnusable, StoreUnusable: it cannot be made, read or written.
            PathExposed: others may read the files.
            StoreRefused: wrong data key or side, or a database that would not do.
            StoreCorrupt: it is not a store, or damaged; it is left as it is.
            StoreBusy: another node has it open.
        """
        if len(data_key) != DATA_KEY_BYTES:
            raise StoreRefused(f"expected a key of {DATA_KEY_BYTES} bytes, got {len(data_key)}")
        database = open_database(place, shared=shared)
        try:
            with database.transaction() as cursor:
                sealer = _identify(cursor, data_key, side)
            # What a crash left in the log is copied and cleared now, not at some later delivery.
            database.truncate()
        except BaseException:
            database.close()
            raise
        return cls(database, sealer, side, further=shared)

    def pool(self) -> Pool:
        """The pool in this store; one at a time, to be loaded before it is used."""
        return Pool(self._database, self._sealer, self.side, further=self._further)

    def grants(self) -> Grants:
        """The grants in this store; one at a time, to be loaded before they are used."""
        return Grants(self._database)

    def waiting(self) -> Waiting:
        """The keys in this store that wait for SAEs of its site and are no link's."""
        return Waiting(self._database, self._sealer)

    def box(self, name: str) -> Box:
        """Seals what lies beside this store, in a file."""
        return self._sealer.box(f"beside {name}", 0)

    def derive(self, purpose: str) -> Secret:
        """A key that lasts as long as this store does."""
        return self._sealer.derive(purpose)

    def status_log(self) -> StatusLog:
        """The history of the link's status in this store; one at a time."""
        return StatusLog(self._database, self._recording)

    def record_for(self, link: str) -> None:
        """Tell a log, from now on, of blocks and of the status: before `status_log`.

        Args:
            link: Name of the link in the log.
        """
        self._recording = Recording(link, self.side, self._sealer)

    def transaction(self) -> AbstractContextManager[Cursor]:
        """For the outbox, whose tables are in this store.

        Raises:
            StoreError: the database failed.
        """
        return self._database.transaction()

    def sharing(self) -> Sharing:
        """Where the node and further processes of its site tell each other things."""
        return Sharing(self._database)

    @property
    def shareable(self) -> bool:
        """Whether further processes may share the pool: PostgreSQL."""
        return self._database.shareable

    def sync_time(self) -> float | None:
        """Seconds that a commit takes; None where only the disk counts, which others measure."""
        return self._database.sync_time()

    # What outlives the bits

    def history(self) -> History:
        """What a backup takes from the store; nothing secret."""
        with self._database.transaction() as cursor:
            return histories.read(cursor)

    def take_history(self, found: History) -> None:
        """Give a new store the history of the one that it stands for; again is harmless."""
        with self._database.transaction() as cursor:
            histories.put(cursor, found)

    def void(self) -> None:
        """Erase all bits, pads and the link's key: none of them was ever to be used again.

        For a store that was put back to an earlier state, and for that of its peer. It then takes
        another pre-placed key, or comes to one by a signed exchange. A pool that is loaded knows
        nothing of it.
        """
        with self._database.transaction() as cursor:
            histories.void(cursor)
        self._database.truncate()

    def require_open(self) -> None:
        """Go on, unless the store was given up; then only opening it anew tells what it holds.

        Raises:
            StoreError: a commit failed earlier, on a full disk for instance, or `close` was called.
        """
        self._database.require_open()

    def zeroise(self) -> None:
        """Leave no copy of what was deleted: empty the log of calls that left it to this one."""
        self._database.truncate()

    def close(self) -> None:
        """Leave no copy of what was deleted, and give the database up; again is harmless."""
        self._database.truncate()
        self._database.close()

    # Authentication reserve

    def has_preplaced(self) -> bool:
        """True once a pre-placed key was installed."""
        with self._database.transaction() as cursor:
            return fixed_keys(cursor) is not None

    def first_contact(self) -> FirstContact | None:
        """How the authentication key was come by; None before there is one."""
        with self._database.transaction() as cursor:
            return first_contact(cursor)

    def takes_preplaced(self) -> bool:
        """Whether `install_preplaced` may take a key: there is none, or one that gives way."""
        with self._database.transaction() as cursor:
            return _takes_key(cursor)

    def install_preplaced(
        self,
        key: Secret,
        contact: FirstContact = BROUGHT,
        *,
        instead_of: FirstContact | None = None,
    ) -> None:
        """Take in the pre-placed key, laid out as `reserve` says.

        Possible once in a store's life, but for one case: a key of a signed exchange under which no
        block number was ever burnt gives way to that of a later exchange. Nothing was tagged or
        distilled with it, and the peer may never have stored it.

        Args:
            key: Secret.
            contact: Where it comes from.
            instead_of: What `first_contact` said before the exchange began. Whatever changed the
                store since then, an exchange that ended meanwhile, makes this one void.

        Raises:
            PreplacedKeyInvalid: wrong size, or there is one already that does not give way.
        """
        fixed, sets = cut_preplaced(key)
        with self._database.transaction() as cursor:
            if not _takes_key(cursor) or first_contact(cursor) != instead_of:
                raise PreplacedKeyInvalid(
                    "expected a store without a pre-placed key, got one that has it",
                    hint="For a new key, first: bellwire keys fence, at both nodes.",
                )
            sealed = self._sealer.box("fixed_keys", 0).seal(0, fixed)
            cursor.execute("DELETE FROM pad_sets")
            cursor.execute(
                "UPDATE store SET fixed_keys = ?, last_set = 0, contact = ?, contact_peer = ?, "
                "contact_exchange = ?",
                (sealed, contact.method.value, contact.peer, contact.exchange),
            )
            self._append_sets(cursor, sets)
        self._database.truncate()

    def authentication_keys(self) -> AuthenticationKeys:
        """The part of the pre-placed key that stays: MAC key and hash keys.

        Raises:
            PreplacedKeyInvalid: none was installed.
        """
        with self._database.transaction() as cursor:
            sealed = fixed_keys(cursor)
            if sealed is None:
                raise PreplacedKeyInvalid("expected a pre-placed key in the store, got none")
            data = self._sealer.box("fixed_keys", 0).open(0, sealed)
        return AuthenticationKeys.from_bytes(data)

    def reserve_sets_left(self) -> int:
        """Blocks that can still be authenticated before another one pays."""
        with self._database.transaction() as cursor:
            (count,) = cursor.execute("SELECT COUNT(*) FROM pad_sets").fetchone()
        return int(count)

    def last_block(self) -> int:
        """The highest block number burnt; 0 before the first."""
        with self._database.transaction() as cursor:
            return marks(cursor)[0]

    def burn(self, block: int, *, zeroise: bool = True) -> Pads:
        """Spend a block number: mark it durably, erase its pad set, and only then return it.

        Sets of numbers that were passed over are erased with it. After a crash or an abort the
        number stays spent; take a higher one.

        Args:
            block: The number.
            zeroise: Whether the log is emptied of what was erased; else `zeroise` is to follow.

        Raises:
            BlockNumberUsed: not above `last_block()`.
            ReserveExhausted: the reserve has no set for this number; nothing was spent.
        """
        with self._database.transaction() as cursor:
            last, last_set = marks(cursor)
            if not last < block <= MAX_BLOCK:
                raise BlockNumberUsed(block, last)
            if block > last_set:
                raise ReserveExhausted(block, last_set)
            row = cursor.execute("SELECT sealed FROM pad_sets WHERE number = ?", (block,))
            (sealed,) = there(row.fetchone(), f"pad set {block}")
            data = self._sealer.box("pad_sets", block).open(0, sealed)
            cursor.execute("DELETE FROM pad_sets WHERE number <= ?", (block,))
            cursor.execute("UPDATE store SET last_block = ?", (block,))
        if zeroise:
            self.zeroise()
        return Pads(block, Secret(data))

    # Blocks

    def put_pending(self, record: BlockRecord, secret: Secret, pad: PadFor | None = None) -> None:
        """Store a distilled block, unusable until both sides know that the other has it.

        Args:
            record: What is known of it; its number must have been burnt.
            secret: `record.secret_bits` bits, packed (`base.bits`). Secret.
            pad: Of a session's block: whose pad it gives.

        Raises:
            ValueError: secret is not ceil(secret_bits / 8) bytes.
            BlockConflict: never burnt, or stored already with other content (the same content
                again is harmless), or a session that cannot be kept.
        """
        if len(secret) != -(-record.secret_bits // 8):
            raise ValueError(f"expected {record.secret_bits} packed bits, got {len(secret)} bytes")
        box = self._sealer.box("pending_bits", record.block)
        with self._database.transaction() as cursor:
            if record.block > marks(cursor)[0]:
                raise BlockConflict(record.block, "expected a burnt block number")
            row = block_row(cursor, record.block)
            if row is not None:
                stored = self._pending_data(cursor, record.block)
                if (
                    stored is None
                    or row.record != record
                    or not hmac.compare_digest(stored, secret.reveal())
                ):
                    raise BlockConflict(record.block, "expected no such block, got another")
                return
            cursor.execute(
                "INSERT INTO blocks (number, state, protocol, source, secret_bits, qber, chsh, "
                "epsilon, decided_at) VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.block,
                    None if record.protocol is None else record.protocol.value,
                    record.source.value,
                    record.secret_bits,
                    record.qber,
                    record.chsh,
                    record.epsilon,
                    record.decided_at,
                ),
            )
            cursor.execute(
                "INSERT INTO pending_bits VALUES (?, ?)",
                (record.block, box.seal(0, secret.reveal())),
            )
            if pad is not None:
                session_pads.put(cursor, record.block, pad)

    def state(self, block: int) -> BlockState:
        """What this side holds of a block; ready it stays, also when all its bits are gone."""
        with self._database.transaction() as cursor:
            row = block_row(cursor, block)
        return BlockState.ABSENT if row is None else row.state

    def record(self, block: int) -> BlockRecord | None:
        """What is known of a block that is pending or ready."""
        with self._database.transaction() as cursor:
            row = block_row(cursor, block)
        return None if row is None else row.record

    def pending(self) -> list[int]:
        """Numbers of the pending blocks, ascending."""
        with self._database.transaction() as cursor:
            rows = cursor.execute(
                "SELECT number FROM blocks WHERE state = 'pending' ORDER BY number"
            ).fetchall()
            return [number for (number,) in rows]

    def mark_ready(self, block: int, *, zeroise: bool = True) -> ReadyBlock:
        """Let a pending block's bits be used: refill of the reserve first, then units for the pool.

        A session's block gives no units but its pad, which waits here if the slave is of this site.

        Again is harmless and says the same.

        Args:
            block: Its number.
            zeroise: As of `burn`.

        Raises:
            BlockConflict: absent, or out of order: a lower block is pending (make it ready or
                discard it first), or a higher one is ready.
        """
        with self._database.transaction() as cursor:
            row = block_row(cursor, block)
            if row is None:
                raise BlockConflict(block, "expected a pending block, got none")
            if row.state is BlockState.READY:
                return row.ready
            check_order(cursor, block)
            data = there(self._pending_data(cursor, block), f"bits of block {block}")
            pad, ahead = session_pads.find(cursor, block), marks(cursor)[1] - block
            if pad is None:
                ready = plan(block, row.secret_bits, ahead)
            else:
                ready = session_pads.plan(block, ahead)
                session_pads.keep(cursor, self._sealer, pad, data, row.decided_at)
                session_pads.discard(cursor, block)
            ready = replace(ready, first_unit=pool_marks(cursor).next_unit)
            sets, units = carve(ready, data)
            self._append_sets(cursor, sets)
            segments.put(cursor, self._sealer, self.side, ready, units)
            cursor.execute(
                "UPDATE blocks SET state = 'ready', refill_sets = ?, first_unit = ?, units = ?, "
                "dropped_bits = ? WHERE number = ?",
                (ready.refill_sets, ready.first_unit, ready.units, ready.dropped_bits, block),
            )
            if self._recording is not None:
                self._recording.block_ready(cursor, row.record, pad)
            cursor.execute("UPDATE store SET next_unit = ?", (ready.stop_unit,))
            cursor.execute("DELETE FROM pending_bits WHERE block = ?", (block,))
        if zeroise:
            self.zeroise()
        return ready

    def discard(self, block: int) -> None:
        """Forget a pending block; an absent one stays absent.

        Raises:
            BlockConflict: it is ready, its bits may be in use.
        """
        with self._database.transaction() as cursor:
            row = block_row(cursor, block)
            if row is not None and row.state is BlockState.READY:
                raise BlockConflict(block, "expected a pending block, got a ready one")
            session_pads.discard(cursor, block)
            cursor.execute("DELETE FROM pending_bits WHERE block = ?", (block,))
            cursor.execute("DELETE FROM blocks WHERE number = ?", (block,))
        self._database.truncate()

    def _append_sets(self, cursor: Cursor, sets: list[bytes]) -> None:
        _, last_set = marks(cursor)
        cursor.executemany(
            "INSERT INTO pad_sets VALUES (?, ?)",
            [
                (number, self._sealer.box("pad_sets", number).seal(0, data))
                for number, data in enumerate(sets, last_set + 1)
            ],
        )
        cursor.execute("UPDATE store SET last_set = ?", (last_set + len(sets),))

    def _pending_data(self, cursor: Cursor, block: int) -> bytes | None:
        row = cursor.execute("SELECT sealed FROM pending_bits WHERE block = ?", (block,)).fetchone()
        return None if row is None else self._sealer.box("pending_bits", block).open(0, row[0])


def _takes_key(cursor: Cursor) -> bool:
    held = first_contact(cursor)
    return held is None or (held.method is ContactMethod.SIGNED and marks(cursor)[0] == 0)


def _identify(cursor: Cursor, data_key: Secret, side: Side) -> Sealer:
    """Check that key and side are those of the store; give a new store its identity."""
    row = cursor.execute("SELECT store_id, side, kek_check FROM store").fetchone()
    if row is None:
        store_id = secrets.token_bytes(STORE_ID_BYTES)
        sealer = Sealer(data_key, store_id, side)
        cursor.execute(
            "INSERT INTO store (id, store_id, side, kek_check, last_block, last_set) "
            "VALUES (1, ?, ?, ?, 0, 0)",
            (store_id, side.value, sealer.box("store", 0).seal(0, _CHECK)),
        )
        return sealer
    store_id, stored_side, kek_check = row
    if stored_side != side.value:
        raise StoreRefused(f"expected the store of {side.value}, got that of {stored_side}")
    sealer = Sealer(data_key, store_id, side)
    try:
        sealer.box("store", 0).open(0, kek_check)
    except StoreCorrupt as error:
        raise StoreRefused(
            "expected the data key that this store was made with, got another",
            hint="Put the right key.wrapped back; nothing in the store was changed.",
        ) from error
    return sealer
