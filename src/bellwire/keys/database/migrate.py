"""The schema of the key store made, or brought to our version, by Alembic.

Imported only where there is something to do: SQLAlchemy takes longer to come in than a store takes
to open.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import StaticPool

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(
    dialect: str,
    dbapi_connection: Any,
    version: int,
    *,
    begin: Sequence[str],
    end: Sequence[str] = (),
) -> None:
    """Bring a schema to the latest version, in one transaction.

    Args:
        dialect: Of SQLAlchemy's URL: `sqlite` or `postgresql+psycopg`.
        dbapi_connection: In no transaction, and beginning none by itself. It stays open; after an
            error, rolling back is the caller's.
        version: What there is; 0 for nothing.
        begin: Statements that begin the transaction.
        end: Statements before its commit.
    """
    # What it did is nobody's news, from its import on; what went wrong is raised.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    engine = create_engine(
        f"{dialect}://",
        creator=lambda: dbapi_connection,
        poolclass=StaticPool,
        pool_reset_on_return=None,
    )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        # Not before: SQLAlchemy rolls back when it has looked at a connection for the first time.
        for statement in begin:
            connection.exec_driver_sql(statement)
        if version and not inspect(connection).has_table("alembic_version"):
            command.stamp(config, revision(version))  # it was made before there were migrations
        command.upgrade(config, "head")
        for statement in end:
            connection.exec_driver_sql(statement)
        connection.commit()


def revision(version: int) -> str:
    """Alembic's name of a version."""
    return f"{version:04}"
