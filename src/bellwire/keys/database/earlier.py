"""SQLite files of versions 1 to 4, from before Alembic: what makes them version 5.

Statements of history: they do not change any more.
"""

FIRST_MIGRATED = 5
"""The version that Alembic's migrations begin with."""

_FROM_VERSION_1 = tuple(
    statement
    for column, kind in (("protocol", "TEXT"), ("qber", "REAL"), ("epsilon", "REAL"))
    for statement in (
        f"ALTER TABLE blocks ADD COLUMN new_{column} {kind}",
        f"UPDATE blocks SET new_{column} = {column}",  # noqa: S608 - of the names above
        f"ALTER TABLE blocks DROP COLUMN {column}",
        f"ALTER TABLE blocks RENAME COLUMN new_{column} TO {column}",
    )
)
"""Version 1 had these NOT NULL; keys of a vendor's box have none of them."""

_FROM_VERSION_2 = (
    "ALTER TABLE store ADD COLUMN contact TEXT NOT NULL DEFAULT 'pre-placed key'",
    "ALTER TABLE store ADD COLUMN contact_peer BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE store ADD COLUMN contact_exchange BLOB NOT NULL DEFAULT x''",
)
"""Up to version 2 every authentication key was brought by hand."""

_FROM_VERSION_4 = (
    "DROP TABLE IF EXISTS pages",
    "DROP TABLE units",
    "DROP INDEX blocks_with_own_units",
    "ALTER TABLE blocks DROP COLUMN own_next",
    "ALTER TABLE blocks DROP COLUMN own_end",
    "ALTER TABLE blocks DROP COLUMN peer_left",
    "ALTER TABLE blocks ADD COLUMN first_unit INTEGER NOT NULL DEFAULT 0",
    "UPDATE blocks SET units = 0",
    *(
        f"ALTER TABLE store ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"
        for column in ("epoch", "next_unit", "sequence", "peer_sequence")
    ),
    """CREATE TABLE marks (
        first INTEGER PRIMARY KEY, units INTEGER NOT NULL,
        block INTEGER NOT NULL REFERENCES blocks (number),
        outgoing INTEGER NOT NULL, taken INTEGER NOT NULL DEFAULT 0, gone BLOB NOT NULL,
        dirty INTEGER NOT NULL DEFAULT 0, offered INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    "CREATE INDEX marks_dirty ON marks (first) WHERE dirty = 1",
    "CREATE INDEX marks_offered ON marks (first) WHERE offered = 1",
    "CREATE INDEX marks_to_take ON marks (first) WHERE outgoing = 1 AND taken < units",
    """CREATE TABLE segments (
        first INTEGER PRIMARY KEY REFERENCES marks (first), sealed BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE issued (
        first INTEGER PRIMARY KEY, stop INTEGER NOT NULL, at REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE grants (
        own INTEGER NOT NULL, number INTEGER NOT NULL, master TEXT NOT NULL, slaves TEXT NOT NULL,
        agreed INTEGER NOT NULL, keys INTEGER NOT NULL DEFAULT 0, bits INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (own, number)
    ) STRICT""",
    """CREATE TABLE copies (
        id BLOB PRIMARY KEY, master TEXT NOT NULL, slaves TEXT NOT NULL, waiting TEXT NOT NULL,
        linked INTEGER NOT NULL, sealed BLOB NOT NULL, at REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE handed (
        first INTEGER NOT NULL, slave TEXT NOT NULL, PRIMARY KEY (first, slave)
    ) STRICT""",
)
"""Up to version 4 bits lay in units of 256. What no key was made of is given up, at both sides: the
link makes new key, and ids of that time cannot be read any more."""

TAKEN_OVER: dict[int, tuple[str, ...]] = {
    1: _FROM_VERSION_1 + _FROM_VERSION_2 + _FROM_VERSION_4,
    2: _FROM_VERSION_2 + _FROM_VERSION_4,
    3: _FROM_VERSION_4,
    4: _FROM_VERSION_4,
}
"""What makes a file of a version one of version 5."""
