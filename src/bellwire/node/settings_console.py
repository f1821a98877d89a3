"""The section `console` of the settings: a site's console, and the way to the other one."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bellwire.node.settings_ledger import log_url


def _url(text: str) -> str:
    if not text:
        return text
    from bellwire.base.errors import UsageError  # noqa: PLC0415 - other settings go without
    from bellwire.console.carrier import check_url  # noqa: PLC0415

    try:
        return check_url(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _origin(text: str) -> str:
    found = _url(text)
    if found and urlsplit(found).path:
        raise ValueError("expected http(s)://HOST or http(s)://HOST:PORT without a path")
    return found


def _relay(text: str) -> str:
    from bellwire.chat.card import is_relay  # noqa: PLC0415 - other settings go without

    if not is_relay(text) or not text.isprintable():
        raise ValueError("expected the address of a relay, ws://HOST:PORT or wss://HOST:PORT")
    return text.rstrip("/")


_Relay = Annotated[str, Field(max_length=255), AfterValidator(_relay)]
_File = Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Field()]


class ConsoleSettings(BaseModel):
    """The console of a site: pages for people, and an API."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    peer: Annotated[str, AfterValidator(_url)] = Field(
        default="",
        max_length=2048,
        description="Address of the other site's console, http(s)://HOST:PORT; empty: the one of "
        "the same state folder.",
    )
    peer_authority: _File = Field(
        default=None,
        description="Who signs its certificate, PEM; none: the authorities of this system.",
    )
    origin: Annotated[str, AfterValidator(_origin)] = Field(
        default="",
        max_length=512,
        description="Address by which browsers reach it, https://HOST[:PORT], if a proxy stands "
        "before it; empty: as it listens.",
    )
    log: Annotated[str, AfterValidator(log_url)] = Field(
        default="",
        max_length=512,
        description="Address of the log that it shows, https://HOST:PORT; empty: `ledger.url`.",
    )
    log_policy: _File = Field(
        default=None,
        description="Who signs that log and who witnesses it, a tlog-policy file; none: no log is "
        "shown.",
    )
    relays: tuple[_Relay, ...] = Field(
        default=(),
        max_length=4,
        description="Relays that its members talk over, ws://HOST:PORT or wss://HOST:PORT; the "
        "first one has their mailboxes; none: its pages have no chat.",
    )
    certificate: _File = Field(
        default=None, description="Certificate of this console, PEM; none: HTTP without TLS."
    )
    key: _File = Field(
        default=None, description="Private key of the certificate: PEM, mode 0600, not encrypted."
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("expected console.certificate and console.key, or neither")
        return self
