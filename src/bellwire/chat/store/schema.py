"""The tables of a person's store, version by version.

A file of an earlier version is brought on when it is opened, a version at a time, each in one
transaction: a crash leaves the version before or the one after.
"""

from typing import Final

SCHEMAS: Final = (
    """
CREATE TABLE about (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE prekeys (
    prekey_id BLOB PRIMARY KEY, kind INTEGER NOT NULL, not_after INTEGER NOT NULL,
    sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE openings (opening_id BLOB PRIMARY KEY, not_after INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE contacts (
    contact BLOB PRIMARY KEY, policy TEXT NOT NULL, verified INTEGER NOT NULL,
    timer_s INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
    session INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,
    opening_id BLOB NOT NULL UNIQUE, heard INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE pads (
    pad_id BLOB PRIMARY KEY, contact BLOB NOT NULL, ours INTEGER NOT NULL, source TEXT NOT NULL,
    length INTEGER NOT NULL, reached INTEGER NOT NULL, ahead BLOB NOT NULL,
    retired INTEGER NOT NULL, number INTEGER NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,
    content_id BLOB NOT NULL, token BLOB NOT NULL, payload BLOB NOT NULL);
CREATE TABLE history (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,
    ours INTEGER NOT NULL, content_id BLOB NOT NULL, state INTEGER NOT NULL,
    gone_at INTEGER, sealed BLOB NOT NULL, UNIQUE (contact, ours, content_id));
CREATE TABLE parts (
    contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE, content_id BLOB NOT NULL,
    part INTEGER NOT NULL, came INTEGER NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (contact, content_id, part)) WITHOUT ROWID;
""",
    """
ALTER TABLE contacts ADD COLUMN mode TEXT NOT NULL DEFAULT 'fresh';
ALTER TABLE pads ADD COLUMN single INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pads ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE outbox ADD COLUMN ttl_s INTEGER NOT NULL DEFAULT 1209600;
CREATE TABLE waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,
    content_id BLOB NOT NULL, sealed BLOB NOT NULL, UNIQUE (contact, content_id));
CREATE TABLE records (
    name BLOB PRIMARY KEY, contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,
    sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE routes (
    contact BLOB PRIMARY KEY REFERENCES contacts ON DELETE CASCADE,
    sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE invitations (
    mailbox BLOB PRIMARY KEY, not_after INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE held (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE, payload BLOB NOT NULL);
CREATE TABLE offers (
    pad_id BLOB PRIMARY KEY, contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,
    sealed BLOB NOT NULL) WITHOUT ROWID;
""",
    """
ALTER TABLE waiting ADD COLUMN pads BLOB;
ALTER TABLE waiting ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
""",
    """
CREATE TABLE standing (
    mailbox BLOB PRIMARY KEY, drawn_at INTEGER NOT NULL, not_after INTEGER,
    sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE strangers (
    contact BLOB PRIMARY KEY REFERENCES contacts ON DELETE CASCADE,
    came INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE blocked (contact BLOB PRIMARY KEY) WITHOUT ROWID;
""",
    """
CREATE TABLE files (
    file INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,
    ours INTEGER NOT NULL, file_id BLOB NOT NULL, state INTEGER NOT NULL, size INTEGER NOT NULL,
    came INTEGER NOT NULL, asked INTEGER NOT NULL, sealed BLOB NOT NULL,
    UNIQUE (contact, ours, file_id));
CREATE TABLE chunks (
    file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE, number INTEGER NOT NULL,
    sealed BLOB NOT NULL, PRIMARY KEY (file, number));
""",
    """
CREATE TABLE closing (mailbox BLOB PRIMARY KEY) WITHOUT ROWID;
DELETE FROM about WHERE name = 'fingerprint of the relay';
""",
    """
ALTER TABLE history ADD COLUMN group_id BLOB;
ALTER TABLE history ADD COLUMN copy INTEGER NOT NULL DEFAULT 0;
CREATE INDEX history_of_groups ON history (group_id, number) WHERE group_id IS NOT NULL;
CREATE INDEX history_of_ids ON history (group_id, content_id) WHERE group_id IS NOT NULL;
ALTER TABLE files ADD COLUMN source INTEGER REFERENCES files ON DELETE CASCADE;
CREATE TABLE groups (
    group_id BLOB PRIMARY KEY, number INTEGER NOT NULL, timer_s INTEGER NOT NULL,
    asked_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE rosters (
    group_id BLOB NOT NULL REFERENCES groups ON DELETE CASCADE, number INTEGER NOT NULL,
    sealed BLOB NOT NULL, PRIMARY KEY (group_id, number)) WITHOUT ROWID;
CREATE TABLE group_left (
    group_id BLOB NOT NULL REFERENCES groups ON DELETE CASCADE, member BLOB NOT NULL,
    number INTEGER NOT NULL, PRIMARY KEY (group_id, member)) WITHOUT ROWID;
CREATE TABLE group_unsent (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL REFERENCES groups ON DELETE CASCADE, member BLOB NOT NULL,
    content_id BLOB NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE group_held (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE, group_id BLOB NOT NULL,
    content_id BLOB NOT NULL, came_at INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE introductions (
    member BLOB PRIMARY KEY, group_id BLOB NOT NULL REFERENCES groups ON DELETE CASCADE,
    made_at INTEGER NOT NULL, mailbox BLOB, sealed BLOB) WITHOUT ROWID;
""",
)
"""What each version adds to the one before; `PRAGMA user_version` counts them.

2: modes of conversations, pads for one message, and what waits. 3: what was sealed stays, with the
ids of its pads, until the other side has it. 4: a box for everybody, and who waits or is blocked.
5: attachments. 6: mailboxes to close; one pin of the relay, that of `Relays`. 7: groups, a
copy of each message for each member, and introductions.
"""
