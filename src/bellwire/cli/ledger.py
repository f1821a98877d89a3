"""`bellwire ledger`: keeps a log that nobody can rewrite unnoticed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
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

OriginOption = Annotated[
    str | None,
    typer.Option("--origin", metavar="NAME", help="The log's name for ever, the first time."),
]
SignerOption = Annotated[
    Path | None,
    typer.Option(
        "--signer",
        metavar="DIR",
        help="Folder of its keys, and of what it signed last, apart from the store. "
        "Default: ledger-signer in the state folder.",
    ),
]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    listen: ListenOption = "127.0.0.1:8480",
    origin: OriginOption = None,
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
    signer: SignerOption = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Keep the log on this PostgreSQL server, in the schema bellwire_log. "
            "Default: ledger.store.",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ask the witnesses of this tlog-policy file, each with its address, and show "
            "checkpoints that its quorum has cosigned.",
        ),
    ] = None,
    witness_ca: Annotated[
        Path | None,
        typer.Option(
            "--witness-ca",
            metavar="FILE",
            help="Who signs the witnesses' certificates, PEM. Default: as the system says.",
        ),
    ] = None,
    witness_within: Annotated[
        float,
        typer.Option(
            "--witness-within",
            metavar="S",
            min=0.1,
            max=60,
            help="How long a witness may take to answer.",
        ),
    ] = 5.0,
    certificate: CertificateOption = None,
    key: TlsKeyOption = None,
    with_parent: WithParentFlag = False,
    key_protection: ProtectionOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Keep a log: take entries from writers, sign what it has become, show it to everybody.

    The first line on standard output is a JSON document that says where it listens, and which keys
    it signs with. It runs until it is told to stop.
    """
    if context.invoked_subcommand is not None:
        return
    import asyncio

    from bellwire.node import logs
    from bellwire.node.log import LogOptions, run_log, store_place
    from bellwire.node.log_witnesses import WitnessesOptions

    require_both(certificate, key)
    settings, folder = _place(signer, state, config, store)
    logs.setup(settings.log.level, settings.log.format)
    options = LogOptions(
        listen=parse_address(listen),
        origin=origin,
        signer=folder,
        store=store_place(settings.state.dir, settings.ledger.store),
        protection=protection_of(settings, key_protection, folder),
        writers=_writers(writer or []),
        every_s=every,
        certificate=certificate,
        key=key,
        witnesses=(
            None if policy is None else WitnessesOptions(policy, witness_ca, witness_within)
        ),
        with_parent=with_parent,
    )
    asyncio.run(run_log(options, output.emit))


@app.command()
def key(
    origin: OriginOption = None,
    signer: SignerOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the log's verifier keys, and make them the first time."""
    from bellwire.node.log import log_identity

    settings, folder = _place(signer, state, config)
    identity = log_identity(folder, origin, protection_of(settings, key_protection, folder))
    keys = [str(each) for each in identity.keys]
    if json:
        output.emit({"origin": identity.origin, "keys": keys})
        return
    for each in keys:
        output.stdout().print(each, highlight=False, soft_wrap=True)


@app.command()
def protect(
    to: ToOption = None,
    signer: SignerOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Wrap the key of a log that is stopped under another key, or say how it rests."""
    from bellwire.cli.protection import protect as wrap
    from bellwire.node.log import LOG_KEY

    settings, folder = _place(signer, state, config)
    wrap(settings, folder, LOG_KEY, key_protection, to, json=json)


def _place(
    signer: Path | None, state: Path | None, config: Path | None, store: str | None = None
) -> "tuple[Settings, Path]":
    """The settings, and the folder of the log's keys."""
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}, "ledger": {"store": store}})
    return settings, signer or settings.state.dir / "ledger-signer"


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
