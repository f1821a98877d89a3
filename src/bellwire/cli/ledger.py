"""`bellwire ledger`: keeps a log that nobody can rewrite unnoticed."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import parse_address
from bellwire.cli.options import ConfigOption, StateOption


def command(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
    ] = "127.0.0.1:8480",
    origin: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The log's name for ever, at its first start."),
    ] = None,
    writer: Annotated[
        list[str] | None,
        typer.Option(
            "--writer",
            metavar="NAME=FILE",
            help="Who may write, and the file of that writer's token; again for more.",
        ),
    ] = None,
    every: Annotated[
        float,
        typer.Option(metavar="S", min=0.01, max=3600, help="Sign so often, when the log grew."),
    ] = 1.0,
    signer: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of its keys, and of what it signed last, apart from the store. "
            "Default: ledger-signer in the state folder.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Listen with TLS: the certificate's chain, PEM."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate's private key, PEM.")
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Stop when standard input ends.")
    ] = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Keep a log: take entries from writers, sign what it has become, show it to everybody.

    The first line on standard output is a JSON document that says where it listens, and which keys
    it signs with. It runs until it is told to stop.
    """
    import asyncio

    from bellwire.node import logs
    from bellwire.node.log import LogOptions, run_log
    from bellwire.node.settings import load

    if (certificate is None) != (key is None):
        raise UsageError("expected --certificate together with --key")
    settings = load(config, {"state": {"dir": state}})
    logs.setup(settings.log.level, settings.log.format)
    options = LogOptions(
        listen=parse_address(listen),
        origin=origin,
        signer=signer or settings.state.dir / "ledger-signer",
        writers=_writers(writer or []),
        every_s=every,
        certificate=certificate,
        key=key,
        with_parent=with_parent,
    )
    asyncio.run(run_log(settings.state.dir, options, output.emit))


def _writers(given: list[str]) -> dict[str, Path]:
    writers: dict[str, Path] = {}
    for each in given:
        name, equals, path = each.partition("=")
        if not (name and equals and path) or name in writers:
            raise UsageError(
                f"--writer: expected NAME=FILE, each name once, got {each[:80]!r}",
                hint="FILE holds that writer's token: 64 hexadecimal digits, mode 0600.",
            )
        writers[name] = Path(path)
    return writers
