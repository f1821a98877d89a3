"""Options that several commands share, so that they mean and read the same everywhere.

A command uses them as annotations:

    def command(json: JsonFlag = False, seed: SeedOption = None) -> None: ...
"""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.base.errors import UsageError

JsonFlag = Annotated[
    bool,
    typer.Option("--json", help="Print exactly one JSON document on standard output."),
]
"""Pass the result to `bellwire.cli.output.emit`; errors become JSON by themselves."""

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        file_okay=False,
        help="Folder of everything that is kept. Default: the user's data folder.",
    ),
]
"""None means: as the settings say (`state.dir`)."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file (TOML). Default: bellwire.toml in the user's configuration folder.",
    ),
]
"""Handed to `bellwire.node.settings.load`, which names a missing or malformed file."""

SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        min=0,
        max=2**64 - 1,
        help="Repeat the same simulation. Default: entropy of the operating system.",
    ),
]
"""None means entropy of the operating system; never used outside the lab and the demo."""

MetricsOption = Annotated[
    int | None,
    typer.Option(
        metavar="PORT", min=0, max=65535, help="Show figures for Prometheus at 127.0.0.1:PORT."
    ),
]
"""Handed to `bellwire.web.loopback.shown`; None shows them nowhere."""

YesFlag = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask before something is destroyed."),
]

ListenOption = Annotated[
    str,
    typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one."),
]
"""Read by `bellwire.cli.addresses.parse_address`."""

CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--certificate", metavar="FILE", help="Listen with TLS: the certificate's chain, PEM."
    ),
]
TlsKeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The certificate's private key, PEM."),
]
"""Beside `CertificateOption`: `require_both`."""

WithParentFlag = Annotated[
    bool, typer.Option("--with-parent", help="Stop when standard input ends.")
]
"""Of services that another process starts: they end with it."""


def require_both(certificate: Path | None, key: Path | None) -> None:
    """Return only if there is a certificate and its key, or neither.

    Raises:
        UsageError: one of them is missing.
    """
    if (certificate is None) != (key is None):
        raise UsageError("expected --certificate together with --key")
