"""What a relay keeps of accounts: names, public keys, sessions by hash, prekeys to hand out.

A store beside the relay's own, so that whoever drops payloads never waits for it; relays that share
the one share the other. Each call is one transaction with one sync: what it reports as done is on
the disk. A name that was ever taken stays taken, by itself and for all that look like it, though
nothing else of a deleted account does.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bellwire.base.private import own_folder
from bellwire.base.secret import Secret
from bellwire.chat.accounts.ledger import Ledger
from bellwire.chat.identity import SEED_BYTES
from bellwire.chat.relay.databases import Place, open_database
from bellwire.database.layout import Layout

APPLICATION_ID: Final = 0x62776131
"""Marks the file as that of accounts ('bwa1')."""

_LAYOUT: Final = Layout(
    what="accounts",
    file="accounts.sqlite",
    mark=APPLICATION_ID,
    in_sqlite=(
        """
CREATE TABLE relay (seed BLOB NOT NULL);
CREATE TABLE names (skeleton TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE accounts (
    handle TEXT PRIMARY KEY, identity BLOB NOT NULL, verifier BLOB NOT NULL,
    since INTEGER NOT NULL, visibility INTEGER NOT NULL, publisher BLOB, lasting BLOB,
    lasting_until INTEGER NOT NULL, card BLOB, claim BLOB);
CREATE INDEX accounts_listed ON accounts (visibility, handle);
CREATE TABLE devices (
    number INTEGER PRIMARY KEY AUTOINCREMENT, token_hash BLOB NOT NULL UNIQUE,
    device BLOB NOT NULL,
    handle TEXT NOT NULL REFERENCES accounts (handle) ON DELETE CASCADE, name TEXT NOT NULL,
    since INTEGER NOT NULL, used INTEGER NOT NULL, expires INTEGER NOT NULL);
CREATE INDEX devices_of ON devices (handle, number);
CREATE TABLE prekeys (
    handle TEXT NOT NULL REFERENCES accounts (handle) ON DELETE CASCADE, prekey_id BLOB NOT NULL,
    not_after INTEGER NOT NULL, prekey BLOB, PRIMARY KEY (handle, prekey_id)) WITHOUT ROWID;
CREATE INDEX prekeys_gone ON prekeys (not_after);
""",
        "CREATE TABLE invitations (code_hash BLOB PRIMARY KEY) WITHOUT ROWID;",
    ),
    in_postgres=(
        # Handles are in the order of their characters, whatever the server's language.
        """
CREATE TABLE relay (seed BYTEA NOT NULL);
CREATE TABLE names (skeleton TEXT PRIMARY KEY);
CREATE TABLE accounts (
    handle TEXT COLLATE "C" PRIMARY KEY, identity BYTEA NOT NULL, verifier BYTEA NOT NULL,
    since BIGINT NOT NULL, visibility BIGINT NOT NULL, publisher BYTEA, lasting BYTEA,
    lasting_until BIGINT NOT NULL, card BYTEA, claim BYTEA);
CREATE INDEX accounts_listed ON accounts (visibility, handle);
CREATE TABLE devices (
    number BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, token_hash BYTEA NOT NULL UNIQUE,
    device BYTEA NOT NULL,
    handle TEXT COLLATE "C" NOT NULL REFERENCES accounts (handle) ON DELETE CASCADE,
    name TEXT NOT NULL,
    since BIGINT NOT NULL, used BIGINT NOT NULL, expires BIGINT NOT NULL);
CREATE INDEX devices_of ON devices (handle, number);
CREATE TABLE prekeys (
    handle TEXT COLLATE "C" NOT NULL REFERENCES accounts (handle) ON DELETE CASCADE,
    prekey_id BYTEA NOT NULL,
    not_after BIGINT NOT NULL, prekey BYTEA, PRIMARY KEY (handle, prekey_id));
CREATE INDEX prekeys_gone ON prekeys (not_after);
CREATE TABLE invitations (code_hash BYTEA PRIMARY KEY);
""",
    ),
)


class AccountStore:
    """The accounts of one relay, or of all that share a schema; not for two threads at once.

    Args:
        place: The relay's own folder, whose lock the caller holds, or a schema.

    Raises:
        StoreUnusable: it cannot be read or written.
        StoreCorrupt: it is none of ours, or of a later version.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, place: Place) -> None:
        if isinstance(place, Path):
            own_folder(place)
        self._database = open_database(place, _LAYOUT)
        try:
            with self.transaction() as ledger:
                self.relay_seed = Secret(ledger.seed() or ledger.begin(os.urandom(SEED_BYTES)))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give it up; again is harmless."""
        self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Ledger]:
        """All of the body, durably, or nothing of it.

        Raises:
            StoreUnusable: the database failed.
        """
        with self._database.transaction() as cursor:
            yield Ledger(cursor)
