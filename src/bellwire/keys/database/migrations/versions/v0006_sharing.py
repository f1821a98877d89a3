"""The history of the link's status, and what processes of a site tell each other."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

INTEGER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "status_log",
        sa.Column("number", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("at", REAL, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("stale", INTEGER, nullable=False),
        sa.Column("qber", REAL),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "node_word",
        sa.Column("id", INTEGER, sa.CheckConstraint("id = 1"), primary_key=True),
        sa.Column("beat", INTEGER, nullable=False),
        sa.Column("word", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "wanted",
        sa.Column("master", sa.Text, primary_key=True, nullable=False),
        sa.Column("slaves", sa.Text, primary_key=True, nullable=False),
        sa.Column("at", REAL, nullable=False),
        sa.Column("answer", sa.Text, nullable=False, server_default=""),
        sqlite_strict=True,
    )
    op.create_table(
        "unreported",
        sa.Column("first", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("stop", INTEGER, nullable=False),
        sqlite_strict=True,
    )
