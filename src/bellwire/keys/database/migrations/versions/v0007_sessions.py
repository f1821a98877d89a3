"""Sessions: blocks whose key is one pad, and whose it is."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

INTEGER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sessions",
        sa.Column("block", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("id", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("bits", INTEGER, nullable=False),
        sa.Column("master", sa.Text, nullable=False),
        sa.Column("slave", sa.Text, nullable=False),
        sa.Column("waits", INTEGER, nullable=False),
        sqlite_strict=True,
    )
