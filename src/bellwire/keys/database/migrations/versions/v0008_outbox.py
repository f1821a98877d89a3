"""What is to be told to a log, until the log has it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

INTEGER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    """Make the tables of `ledger.outbox`."""
    op.create_table(
        "outbox",
        sa.Column("number", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("at", REAL, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox_state",
        sa.Column("id", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("base", INTEGER, nullable=False),
        sa.Column("next", INTEGER, nullable=False),
        sa.Column("epochs", INTEGER, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox_salts",
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
