"""The rows of accounts, their sessions and prekeys, as one transaction reads and writes them.

A name that was ever taken stays taken, by itself and for all that look like it, though nothing else
of a deleted account is kept. A one-time prekey that was handed out leaves its id until it expires,
so that it is not handed out again if its owner publishes it twice. Times are in seconds since the
epoch.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bellwire.base.handles import skeleton
from bellwire.base.secret import Secret
from bellwire.chat.accounts.fields import DEVICE_BYTES, Visibility
from bellwire.chat.identity import SEED_BYTES, Identity
from bellwire.database.cursor import Cursor


@dataclass(frozen=True, slots=True)
class Account:
    """An account, without its prekeys.

    Attributes:
        handle: Its name.
        identity: Public key of its owner, 1984 bytes.
        verifier: Public key of the password.
        since: When it was made, in seconds since the epoch.
        visibility: Who finds it.
        publisher: The device whose prekeys are here.
        lasting: Its lasting prekey.
        lasting_until: When that expires; 0 without one.
        card: How the owner is reached by who writes first.
        claim: The identity's signature of handle and card.
    """

    handle: str
    identity: bytes
    verifier: bytes
    since: int
    visibility: int
    publisher: bytes | None
    lasting: bytes | None
    lasting_until: int
    card: bytes | None
    claim: bytes | None


@dataclass(frozen=True, slots=True)
class Seat:
    """A session of a device; `token_hash` is all that is kept of its token."""

    token_hash: bytes
    device: bytes
    handle: str
    name: str
    since: int
    used: int
    expires: int


_ACCOUNT: Final = ", ".join(Account.__slots__)
_SEAT: Final = ", ".join(Seat.__slots__)


class Ledger:
    """All accounts, within one transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def _number(self, question: str, *values: object) -> int:
        return int(self._cursor.execute(question, values).fetchone()[0])

    def is_untouched(self) -> bool:
        """Whether nobody ever had an account here."""
        return not self._number("SELECT EXISTS (SELECT 1 FROM names)")

    def seed(self) -> bytes | None:
        """What the relay's identity comes from; None: it was not drawn yet. Secret."""
        row = self._cursor.execute("SELECT seed FROM relay").fetchone()
        return None if row is None else bytes(row[0])

    def begin(self, seed: bytes) -> bytes:
        """Keep the seed of the relay's identity, and a decoy whose private key nobody has.

        The decoy has the handle that no account can have, the empty one.

        Returns:
            The seed.
        """
        self._cursor.execute("INSERT INTO relay VALUES (?)", (seed,))
        decoy = Identity(Secret(os.urandom(SEED_BYTES))).public.public_bytes
        self._cursor.execute(
            "INSERT INTO accounts (handle, identity, verifier, since, visibility,"
            " lasting_until) VALUES ('', ?, ?, 0, 0, 0)",
            (decoy, decoy),
        )
        return seed

    # Accounts.

    def count(self) -> int:
        """How many accounts there are."""
        return self._number("SELECT count(*) FROM accounts WHERE handle > ''")

    def signer(self, handle: str, *, by_identity: bool) -> bytes:
        """The public key by which an account proves itself, or the decoy's for who has none."""
        column = "identity" if by_identity else "verifier"
        (public,) = self._cursor.execute(
            f"SELECT {column} FROM accounts WHERE handle IN (?, '')"  # noqa: S608 - our own columns
            " ORDER BY handle DESC LIMIT 1",
            (handle,),
        ).fetchone()
        return bytes(public)

    def find(self, handle: str) -> Account | None:
        """An account by its name."""
        rows = self._cursor.execute(
            f"SELECT {_ACCOUNT} FROM accounts WHERE handle = ?",  # noqa: S608 - our own columns
            (handle,),
        ).fetchall()
        return Account(*rows[0]) if rows else None

    def account_of(self, seat: Seat) -> Account:
        """The account of a session that is there."""
        account = self.find(seat.handle)
        assert account is not None  # the sessions of an account go with it
        return account

    def add(self, account: Account) -> bool:
        """Keep a new account; False if its name, or one that looks like it, was ever taken."""
        self._cursor.execute(
            "INSERT INTO names VALUES (?) ON CONFLICT DO NOTHING", (skeleton(account.handle),)
        )
        if not self._cursor.rowcount:
            return False
        values = [getattr(account, name) for name in Account.__slots__]
        marks = ", ".join("?" * len(values))
        self._cursor.execute(
            f"INSERT INTO accounts ({_ACCOUNT}) VALUES ({marks})",  # noqa: S608 - our own columns
            values,
        )
        return True

    def use_invitation(self, code_hash: bytes) -> bool:
        """An invitation serves now; False if it has served before."""
        self._cursor.execute(
            "INSERT INTO invitations VALUES (?) ON CONFLICT DO NOTHING", (code_hash,)
        )
        return self._cursor.rowcount == 1

    def delete(self, handle: str) -> None:
        """Forget all of an account but its name."""
        self._cursor.execute("DELETE FROM accounts WHERE handle = ?", (handle,))

    def set_visibility(self, handle: str, visibility: Visibility) -> None:
        """Choose who finds an account."""
        self._cursor.execute(
            "UPDATE accounts SET visibility = ? WHERE handle = ?", (int(visibility), handle)
        )

    def set_verifier(self, handle: str, verifier: bytes) -> None:
        """Have another password count."""
        self._cursor.execute(
            "UPDATE accounts SET verifier = ? WHERE handle = ?", (verifier, handle)
        )

    def listed(self, prefix: str, limit: int) -> list[str]:
        """Handles of listed accounts that begin so, in order."""
        above = prefix + "~"  # which comes after every character of a handle
        rows = self._cursor.execute(
            "SELECT handle FROM accounts WHERE visibility = ? AND handle >= ? AND handle < ?"
            " ORDER BY handle LIMIT ?",
            (int(Visibility.LISTED), prefix, above, limit),
        ).fetchall()
        return [str(handle) for (handle,) in rows]

    # Sessions.

    def seats(self, handle: str) -> list[Seat]:
        """The sessions of an account, oldest first."""
        rows = self._cursor.execute(
            f"SELECT {_SEAT} FROM devices WHERE handle = ? ORDER BY number",  # noqa: S608 - our own columns
            (handle,),
        ).fetchall()
        return [Seat(*row) for row in rows]

    def seat(self, token_hash: bytes) -> Seat | None:
        """A session by the hash of its token."""
        rows = self._cursor.execute(
            f"SELECT {_SEAT} FROM devices WHERE token_hash = ?",  # noqa: S608 - our own columns
            (token_hash,),
        ).fetchall()
        return Seat(*rows[0]) if rows else None

    def sit(self, token_hash: bytes, handle: str, name: str, now: int, expires: int) -> bytes:
        """Begin a session; what its device is known by."""
        device = os.urandom(DEVICE_BYTES)
        self._cursor.execute(
            f"INSERT INTO devices ({_SEAT}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own
            (token_hash, device, handle, name, now, now, expires),
        )
        return device

    def used(self, token_hash: bytes, now: int, expires: int) -> None:
        """A session asked for something."""
        self._cursor.execute(
            "UPDATE devices SET used = ?, expires = ? WHERE token_hash = ?",
            (now, expires, token_hash),
        )

    def name_seat(self, token_hash: bytes, name: str) -> None:
        """Call a device something else."""
        self._cursor.execute("UPDATE devices SET name = ? WHERE token_hash = ?", (name, token_hash))

    def leave(self, seats: Sequence[Seat]) -> None:
        """End sessions; prekeys that their devices published are not handed out any more."""
        for seat in seats:
            self._cursor.execute("DELETE FROM devices WHERE token_hash = ?", (seat.token_hash,))
            account = self.find(seat.handle)
            if account is not None and account.publisher == seat.device:
                self.withdraw(seat.handle, None)

    # Prekeys.

    def withdraw(self, handle: str, publisher: bytes | None) -> None:
        """Hand out nothing of what was published; what comes next is of this device."""
        self._cursor.execute(
            "UPDATE accounts SET publisher = ?, lasting = NULL, lasting_until = 0,"
            " card = NULL, claim = NULL WHERE handle = ?",
            (publisher, handle),
        )
        # Those that were handed out stay known; the others may be published again.
        self._cursor.execute(
            "DELETE FROM prekeys WHERE handle = ? AND prekey IS NOT NULL", (handle,)
        )

    def set_lasting(self, handle: str, prekey: bytes, not_after: int) -> None:
        """Hand out this lasting prekey."""
        self._cursor.execute(
            "UPDATE accounts SET lasting = ?, lasting_until = ? WHERE handle = ?",
            (prekey, not_after, handle),
        )

    def set_card(self, handle: str, card: bytes, claim: bytes) -> None:
        """Hand out this card, which the identity signed."""
        self._cursor.execute(
            "UPDATE accounts SET card = ?, claim = ? WHERE handle = ?", (card, claim, handle)
        )

    def add_one_time(self, handle: str, prekey_id: bytes, not_after: int, prekey: bytes) -> None:
        """Keep a one-time prekey; one that was ever here stays as it is."""
        self._cursor.execute(
            "INSERT INTO prekeys VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (handle, prekey_id, not_after, prekey),
        )

    def one_time(self, handle: str, now: int) -> list[tuple[bytes, int]]:
        """Ids of the one-time prekeys that are left, and when they expire."""
        rows = self._cursor.execute(
            "SELECT prekey_id, not_after FROM prekeys"
            " WHERE handle = ? AND prekey IS NOT NULL AND not_after > ? ORDER BY prekey_id",
            (handle, now),
        ).fetchall()
        return [(bytes(prekey_id), int(not_after)) for prekey_id, not_after in rows]

    def take_one_time(self, handle: str, now: int) -> bytes | None:
        """A one-time prekey, never to be handed out again."""
        row = self._cursor.execute(
            "SELECT prekey_id, prekey FROM prekeys"
            " WHERE handle = ? AND prekey IS NOT NULL AND not_after > ?"
            " ORDER BY not_after, prekey_id LIMIT 1",
            (handle, now),
        ).fetchone()
        if row is None:
            return None
        self._cursor.execute(
            "UPDATE prekeys SET prekey = NULL WHERE handle = ? AND prekey_id = ?", (handle, row[0])
        )
        return bytes(row[1])

    def expire(self, now: int) -> None:
        """Forget sessions and prekeys that are over."""
        over = self._cursor.execute(
            f"SELECT {_SEAT} FROM devices WHERE expires <= ?",  # noqa: S608 - our own columns
            (now,),
        ).fetchall()
        self.leave([Seat(*row) for row in over])
        self._cursor.execute("DELETE FROM prekeys WHERE not_after <= ?", (now,))
