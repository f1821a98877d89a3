"""The pool in segments: the first version that PostgreSQL has, too."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = None

INTEGER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    server = op.get_context().dialect.name == "postgresql"
    _make_store(none=sa.text("''::bytea" if server else "x''"))
    _make_blocks()
    _make_pool()


def _make_store(none: sa.TextClause) -> None:
    op.create_table(
        "store",
        sa.Column("id", INTEGER, sa.CheckConstraint("id = 1"), primary_key=True),
        sa.Column("store_id", sa.LargeBinary, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("kek_check", sa.LargeBinary, nullable=False),
        _count("last_block", default=False),
        _count("last_set", default=False),
        sa.Column("fixed_keys", sa.LargeBinary),
        sa.Column("contact", sa.Text, nullable=False, server_default="pre-placed key"),
        sa.Column("contact_peer", sa.LargeBinary, nullable=False, server_default=none),
        sa.Column("contact_exchange", sa.LargeBinary, nullable=False, server_default=none),
        _count("epoch"),
        _count("next_unit"),
        _count("sequence"),
        _count("peer_sequence"),
        sqlite_strict=True,
    )
    op.create_table(
        "pad_sets",
        _number("number"),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )


def _make_blocks() -> None:
    op.create_table(
        "blocks",
        _number("number"),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('pending', 'ready')"),
            nullable=False,
        ),
        sa.Column("protocol", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        _count("secret_bits", default=False),
        sa.Column("qber", REAL),
        sa.Column("chsh", REAL),
        sa.Column("epsilon", REAL),
        sa.Column("decided_at", REAL, nullable=False),
        _count("refill_sets"),
        _count("first_unit"),
        _count("units"),
        _count("dropped_bits"),
        sqlite_strict=True,
    )
    _index("blocks_pending", "blocks", "number", "state = 'pending'")
    op.create_table(
        "pending_bits",
        _number("block", sa.ForeignKey("blocks.number")),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )


def _make_pool() -> None:
    # Small rows that change, apart from large ones that do not.
    op.create_table(
        "marks",
        _number("first"),
        _count("units", default=False),
        sa.Column("block", INTEGER, sa.ForeignKey("blocks.number"), nullable=False),
        _count("outgoing", default=False),
        _count("taken"),
        sa.Column("gone", sa.LargeBinary, nullable=False),
        _count("dirty"),
        _count("offered"),
        sqlite_strict=True,
    )
    _index("marks_dirty", "marks", "first", "dirty = 1")
    _index("marks_offered", "marks", "first", "offered = 1")
    _index("marks_to_take", "marks", "first", "outgoing = 1 AND taken < units")
    op.create_table(
        "segments",
        _number("first", sa.ForeignKey("marks.first")),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "issued",
        _number("first"),
        _count("stop", default=False),
        sa.Column("at", REAL, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "grants",
        _number("own"),
        _number("number"),
        sa.Column("master", sa.Text, nullable=False),
        sa.Column("slaves", sa.Text, nullable=False),
        _count("agreed", default=False),
        _count("keys"),
        _count("bits"),
        sqlite_strict=True,
    )
    op.create_table(
        "copies",
        sa.Column("id", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column("master", sa.Text, nullable=False),
        sa.Column("slaves", sa.Text, nullable=False),
        sa.Column("waiting", sa.Text, nullable=False),
        _count("linked", default=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("at", REAL, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "handed",
        _number("first"),
        sa.Column("slave", sa.Text, primary_key=True, nullable=False),
        sqlite_strict=True,
    )


def _number(name: str, *others: sa.ForeignKey) -> sa.Column[int]:
    return sa.Column(name, INTEGER, *others, primary_key=True, autoincrement=False)


def _count(name: str, *, default: bool = True) -> sa.Column[int]:
    given = sa.text("0") if default else None
    return sa.Column(name, INTEGER, nullable=False, server_default=given)


def _index(name: str, table: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, [column], sqlite_where=condition, postgresql_where=condition)
