"""Whom the verbs of `bellwire keys` ask: from options, or from a profile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError

if TYPE_CHECKING:
    from bellwire.etsi014.client import Client

KmeOption = Annotated[
    str | None, typer.Option(metavar="URL", help="The key server: https://HOST:PORT.")
]
CertOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Our certificate, and what leads from it, PEM.")
]
KeyOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Its private key, PEM, mode 0600.")
]
CaOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Who signs the key server's certificate, PEM.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A profile of the state folder. Default: the only one, or the only one for --sae.",
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says; None where it says nothing."""

    kme: str | None
    cert: Path | None
    key: Path | None
    ca: Path | None
    sae: str | None
    profile: str | None
    state: Path | None
    config: Path | None


@contextmanager
def connected(asked: Asked) -> Iterator[tuple["Client", str]]:
    """A client of the key server, and the other SAE.

    Raises:
        UsageError: something is missing.
        ProfileUnusable, CredentialsUnusable, PathExposed: as their makers.
    """
    from bellwire.etsi014.client import Client

    kme, credentials, peer = both_ends(asked)
    with Client(kme, credentials) as client:
        yield client, peer


def both_ends(asked: Asked) -> tuple[str, "Credentials", str]:
    """As `whom`, where the other SAE must be named; UsageError if it is not."""
    kme, credentials, peer = whom(asked)
    if peer is None:
        raise UsageError("expected --sae, the other SAE's id, got none")
    return kme, credentials, peer


def whom(asked: Asked) -> tuple[str, "Credentials", str | None]:
    """The key server's address, who we are to it, and the other SAE if one is named.

    Raises:
        UsageError: something is missing.
        ProfileUnusable: as its makers.
    """
    from bellwire.etsi014.credentials import Credentials
    from bellwire.etsi014.profile import find_profile, read_profile

    given = {"--kme": asked.kme, "--cert": asked.cert, "--key": asked.key, "--ca": asked.ca}
    missing = [name for name, value in given.items() if value is None]
    if asked.kme and asked.cert and asked.key and asked.ca and asked.profile is None:
        return asked.kme, Credentials(asked.cert, asked.key, asked.ca), asked.sae
    if len(missing) < len(given) and asked.profile is None:
        raise UsageError(
            f"expected {', '.join(missing)} as well",
            hint="Or name a profile with --profile; options then take the place of its values.",
        )
    from bellwire.node.settings import load

    folder = load(asked.config, {"state": {"dir": asked.state}}).state.dir
    if asked.profile is None:
        profile = find_profile(folder, asked.sae)
    else:
        profile = read_profile(folder, asked.profile)
    files = profile.credentials
    credentials = Credentials(
        asked.cert or files.certificate, asked.key or files.key, asked.ca or files.authority
    )
    return asked.kme or profile.kme, credentials, asked.sae or profile.peer


if TYPE_CHECKING:
    from bellwire.etsi014.credentials import Credentials
