"""The section `push` of the settings: the status of links, told to a NATS server."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_SUBJECT = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}")
NatsFile = Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Field()]


def nats_server(url: str) -> str:
    """Let the address of a NATS server pass, or an empty one; ValueError."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port is not None
        plain = not parts.path and not parts.query and not parts.fragment and url.isprintable()
        named = parts.username is None and parts.password is None
    except ValueError:
        known = plain = named = False
    if not (known and plain and named):
        raise ValueError("expected nats://HOST:PORT or tls://HOST:PORT without a user, got another")
    return url


def _subject(text: str) -> str:
    if not _SUBJECT.fullmatch(text):
        raise ValueError("expected words of letters, digits, _ and -, joined by dots, got another")
    return text


class PushSettings(BaseModel):
    """The status of links told to NATS, besides the door's events."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    nats: Annotated[str, AfterValidator(nats_server)] = Field(
        default="",
        max_length=512,
        description="NATS server that is told, nats://HOST:PORT or tls://HOST:PORT; empty: none.",
    )
    subject: Annotated[str, AfterValidator(_subject)] = Field(
        default="bellwire.status",
        description="First words of the subject; the site follows: bellwire.status.a.",
    )
    ca: NatsFile = Field(
        default=None,
        description="Authorities that may vouch for the server, PEM; empty: those of the system.",
    )
    credentials: NatsFile = Field(
        default=None, description="Credentials file of our user at the server."
    )
