"""The section `ledger` of the settings: the log that services write to, and one kept here."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bellwire.node.settings_store import store_server

LogFile = Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Field()]


def log_url(url: str) -> str:
    """The address of a log, or nothing; ValueError for anything else."""
    if not url:
        return url
    from bellwire.ledger.outbox.carrier import check_url  # noqa: PLC0415 - an HTTP client
    from bellwire.ledger.outbox.errors import LogUnusable  # noqa: PLC0415

    try:
        return check_url(url)
    except LogUnusable as error:
        raise ValueError(str(error)) from None


def _name(text: str) -> str:
    from bellwire.ledger.entries.fields import NAME  # noqa: PLC0415 - other settings go without

    if text and not re.fullmatch(NAME, text):
        raise ValueError(
            "expected 1 to 64 lower-case letters, digits, dots, hyphens and underscores, got "
            f"{text!r:.70}"
        )
    return text


class LedgerSettings(BaseModel):
    """The log that nodes, guards and admission write to, and where one that is kept here lies."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    url: Annotated[str, AfterValidator(log_url)] = Field(
        default="",
        max_length=512,
        description="Where the log takes entries, https://HOST:PORT; empty: nothing is recorded.",
    )
    writer: Annotated[str, AfterValidator(_name)] = Field(
        default="", description="Our name there, as its operator gave it with the token."
    )
    token: LogFile = Field(
        default=None, description="File of our token: 64 hexadecimal digits, mode 0600."
    )
    authority: LogFile = Field(
        default=None,
        description="Certificates of who may vouch for the log, PEM; empty: those of the system.",
    )
    link: Annotated[str, AfterValidator(_name)] = Field(
        default="link", description="Name of this site's link in entries."
    )
    guard: Annotated[str, AfterValidator(_name)] = Field(
        default="guard", description="Name of this machine's guard in entries."
    )
    store: Annotated[str, AfterValidator(store_server)] = Field(
        default="",
        description="PostgreSQL server, postgresql://USER@HOST/DATABASE, without a password, on "
        "which `bellwire ledger` keeps its log; empty: a file of SQLite in the state folder.",
    )

    @model_validator(mode="after")
    def _writers_have_tokens(self) -> Self:
        if self.url and not (self.writer and self.token and self.link and self.guard):
            raise ValueError(
                "expected writer, token, link and guard with url, got one of them empty"
            )
        return self
