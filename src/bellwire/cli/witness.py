"""`bellwire witness`: cosigns checkpoints of other people's logs, if nothing was rewritten."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.addresses import parse_address
from bellwire.cli.options import (
    CertificateOption,
    ConfigOption,
    JsonFlag,
    ListenOption,
    StateOption,
    TlsKeyOption,
    WithParentFlag,
    require_both,
)
from bellwire.cli.protection import ProtectionOption, ToOption, protection_of

if TYPE_CHECKING:
    from bellwire.node.settings import Settings

app = typer.Typer(add_completion=False)

SiteOption = Annotated[
    str | None,
    typer.Option(
        "--site",
        metavar="a|b",
        help="Of two witnesses of one state folder: which. Its folder is witness-a or witness-b.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="What the witness is called, once and for ever, as witness.example/w1.",
    ),
]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    name: NameOption = None,
    site: SiteOption = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="VKEY|FILE",
            help="Verifier key of a log to follow, or a file of such; again for more.",
        ),
    ] = None,
    listen: ListenOption = "127.0.0.1:8481",
    second: Annotated[
        Path | None,
        typer.Option(
            "--second",
            metavar="DIR",
            file_okay=False,
            help="Keep a copy of the state there, on another disk: a state that was put back is "
            "then noticed.",
        ),
    ] = None,
    certificate: CertificateOption = None,
    tls_key: TlsKeyOption = None,
    with_parent: WithParentFlag = False,
    key_protection: ProtectionOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Follow logs, and cosign each checkpoint that is consistent with the one before.

    The first line on standard output is a JSON document that says where it listens, and its keys.
    It runs until it is told to stop.
    """
    if context.invoked_subcommand is not None:
        return
    import asyncio

    from bellwire.base.errors import UsageError
    from bellwire.cli.log.trust import keys_of
    from bellwire.node import logs
    from bellwire.node.witness import WitnessOptions, run_witness

    if not log:
        raise UsageError("expected --log with the key of a log to follow, got none")
    require_both(certificate, tls_key)
    settings, folder = _place(site, state, config)
    logs.setup(settings.log.level, settings.log.format)
    options = WitnessOptions(
        folder=folder,
        name=name,
        logs=tuple(key for each in log for key in keys_of(each)),
        listen=parse_address(listen),
        second=second,
        protection=protection_of(settings, key_protection, folder),
        certificate=certificate,
        tls_key=tls_key,
        with_parent=with_parent,
    )
    asyncio.run(run_witness(options, output.emit))


@app.command()
def key(
    name: NameOption = None,
    site: SiteOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the witness's verifier keys, and make them the first time."""
    from bellwire.node.witness import witness_keys

    settings, folder = _place(site, state, config)
    signers = witness_keys(folder, name, protection_of(settings, key_protection, folder))
    keys = [str(each.verifier) for each in signers]
    if json:
        output.emit({"name": signers[0].verifier.name, "keys": keys})
        return
    for each in keys:
        output.stdout().print(each, highlight=False, soft_wrap=True)


@app.command()
def protect(
    to: ToOption = None,
    site: SiteOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Wrap the key of a witness that is stopped under another key, or say how it rests."""
    from bellwire.cli.protection import protect as wrap
    from bellwire.node.witness import WITNESS_KEY

    settings, folder = _place(site, state, config)
    wrap(settings, folder, WITNESS_KEY, key_protection, to, json=json)


def _place(site: str | None, state: Path | None, config: Path | None) -> "tuple[Settings, Path]":
    from bellwire.base.errors import UsageError
    from bellwire.node.settings import load
    from bellwire.node.witness import witness_folder

    if site not in {None, "a", "b"}:
        raise UsageError("expected --site a or --site b")
    settings = load(config, {"state": {"dir": state}})
    return settings, witness_folder(settings.state.dir, site)
