"""`bellwire admission`: who may join; the server, and what its operator decides."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
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

if TYPE_CHECKING:
    from bellwire.admission.assessment import Assessment
    from bellwire.admission.channel import CloudPlace
    from bellwire.admission.circuit import Angles
    from bellwire.admission.evidence import Claim, Measured
    from bellwire.admission.model import ModelAssessor
    from bellwire.admission.register import Register, Registration, Standing
    from bellwire.node.admission_channel import DeviceCertificates
    from bellwire.node.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True)


ModelUrlOption = Annotated[
    str | None,
    typer.Option(
        "--model-url", metavar="URL", help="Ask a model there, too (OpenAI's chat interface)."
    ),
]
ModelOption = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Its name there.")]
ModelKeyOption = Annotated[
    Path | None,
    typer.Option("--model-key", metavar="FILE", help="Its key, in a file that only you can read."),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Who is meant.")]


class GateName(StrEnum):
    """What opens the door, beside a good verdict."""

    TOKEN = "token"  # noqa: S105 - the word, not one
    OPERATOR = "operator"
    EITHER = "either"
    OPEN = "open"


@app.callback()
def group() -> None:
    """Who may join: the server, and what its operator decides."""


@app.command()
def run(
    listen: ListenOption = "127.0.0.1:8490",
    name: Annotated[
        str | None,
        typer.Option(help="By which newcomers know this server. Default: the host of --listen."),
    ] = None,
    gate: Annotated[
        GateName,
        typer.Option(help="What lets in who is SECURE: a token, the operator, either, or nothing."),
    ] = GateName.EITHER,
    site: Annotated[
        str | None,
        typer.Option(metavar="a|b", help="Whose authority signs certificates. Default: none."),
    ] = None,
    certificate: CertificateOption = None,
    key: TlsKeyOption = None,
    cloud: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Certify devices, too, and tell them of the cloud that registers by this name.",
        ),
    ] = None,
    cloud_name: Annotated[
        str,
        typer.Option("--cloud-name", metavar="NAME", help="As `bellwire cloud --name` has it."),
    ] = "cloud",
    cloud_at: Annotated[
        str | None,
        typer.Option(
            "--cloud-at",
            metavar="ADDRESS",
            help="Where devices reach that cloud, as for `device send --to`. Default: not told.",
        ),
    ] = None,
    proxies: Annotated[
        int,
        typer.Option(min=0, max=8, help="Reverse proxies of yours that each connection passes."),
    ] = 0,
    model_url: ModelUrlOption = None,
    model: ModelOption = None,
    model_key: ModelKeyOption = None,
    with_parent: WithParentFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Run a server where newcomers register.

    The first line on standard output is a JSON document that says where it listens. It runs until
    it is told to stop.
    """
    import asyncio

    from bellwire.admission.register import Gate
    from bellwire.base.errors import UsageError
    from bellwire.node import logs
    from bellwire.node.admission import AdmissionOptions, run_admission
    from bellwire.node.settings import load

    if site not in {None, "a", "b"}:
        raise UsageError("expected --site a or --site b")
    require_both(certificate, key)
    host, port = parse_address(listen)
    if name is not None and not (0 < len(name) <= 200 and name.isprintable()):
        raise UsageError("expected a --name of 1 to 200 printable characters")
    settings = load(config, {"state": {"dir": state}})
    place = _cloud_place(cloud, cloud_name, cloud_at)
    logs.setup(settings.log.level, settings.log.format)
    options = AdmissionOptions(
        listen=(host, port),
        name=name or host,
        gate=Gate(gate.value),
        site=site,
        certificate=certificate,
        key=key,
        proxies=proxies,
        assessor=_assessor(model_url, model, model_key),
        with_parent=with_parent,
        cloud=place,
        channel=lambda: _channel_authority(settings, make=True),
    )
    asyncio.run(run_admission(settings.state.dir, options, output.emit, settings.ledger))


@app.command()
def token(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="For whom, as a note.")] = "",
    hours: Annotated[
        float, typer.Option(min=0.01, max=2160.0, help="How long it lets somebody in.")
    ] = 24.0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write it to a new FILE of mode 0600."),
    ] = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a token that lets one newcomer in, and print it: this once, it is kept nowhere."""
    import time

    from bellwire.base.errors import UsageError
    from bellwire.base.private import write_whole

    if out is not None and (out.exists() or out.is_symlink()):
        raise UsageError(f"--out: expected a file that is not there yet, got {out}")
    now = int(time.time())
    with _register(state, config) as register:
        made = register.make_token(label, round(hours * 3600), now)
    if out is not None:
        write_whole(out, f"{made}\n".encode(), replace=False)
    until = now + round(hours * 3600)
    if json:
        shown = {"out": out} if out is not None else {"token": made}
        output.emit({**shown, "label": label, "expires": until})
    elif out is None:
        output.stdout().print(made)
    else:
        output.stdout().print(f"written to {out}")


@app.command("list")
def list_all(
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only those that wait for the operator.")
    ] = False,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show who is registered, who waits, and which tokens are open."""
    import time

    from bellwire.admission.register import Standing
    from bellwire.cli.tables import log_words, state_of_log

    with _register(state, config) as register:
        found = register.all(Standing.WAITING if waiting else None)
        tokens = [] if waiting else register.tokens(int(time.time()))
        told = register.told_to_log()
    if json:
        output.emit(
            {
                "registrations": [_plain(each) for each in found],
                "tokens": [{"label": label, "expires": expires} for label, expires in tokens],
                **state_of_log(told),
            }
        )
        return
    from rich.table import Table
    from rich.text import Text

    screen = output.stdout()
    table = Table("name", "status", "since", "by", "verdict", "keys", box=None)
    for each in found:
        since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(each.since))
        row = (each.handle, each.standing, since, each.by, each.verdict, " ".join(each.keys))
        table.add_row(*(Text(cell) for cell in row))
    screen.print(table if found else "nobody waits" if waiting else "nobody is registered")
    if tokens:
        screen.print(f"\n{len(tokens)} open tokens")
    if told is not None:
        screen.print(f"\nLog: {log_words(state_of_log(told))}.")


@app.command()
def admit(
    name: NameArgument,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Let in who waits."""
    from bellwire.admission.register import Standing

    _decide(name, Standing.ADMITTED, state, config, as_json=json)


@app.command()
def refuse(
    name: NameArgument,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Turn away who waits; the name is free again."""
    from bellwire.admission.register import Standing

    _decide(name, Standing.REFUSED, state, config, as_json=json)


@app.command()
def revoke(
    name: NameArgument,
    site: Annotated[
        str | None,
        typer.Option(metavar="a|b", help="Whose authority is told; both, if they are here."),
    ] = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Take an admission back, with all certificates; the name stays taken."""
    import time

    from bellwire.admission.service import revoke as take_back
    from bellwire.base.errors import UsageError
    from bellwire.node.settings import load
    from bellwire.pki.authority import Authority, authorities_in, authority_folder

    if site not in {None, "a", "b"}:
        raise UsageError("expected --site a or --site b")
    settings = load(config, {"state": {"dir": state}})
    folder = settings.state.dir
    if site is None:
        authorities = authorities_in(folder)
    else:
        authorities = [Authority(authority_folder(folder, site), site)]
    with _register(state, config) as register:
        found = take_back(
            register,
            authorities,
            name,
            int(time.time()),
            lambda: _channel_authority(settings, make=False),
        )
    _tell(found, as_json=json)


@app.command()
def assess(
    ping: Annotated[float, typer.Option(metavar="MS", help="The ping that is claimed.")],
    jitter: Annotated[float, typer.Option(metavar="MS", help="The jitter that is claimed.")],
    address: Annotated[str, typer.Option(help="The address that is claimed.")],
    echo: Annotated[
        list[float],
        typer.Option("--echo", metavar="MS", help="A time there and back as measured; again."),
    ],
    seen: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="As seen. Default: as claimed.")
    ] = None,
    model_url: ModelUrlOption = None,
    model: ModelOption = None,
    model_key: ModelKeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Judge one connection by the rules, and by a model if one is named. Nobody is admitted.

    Exits 0 for either verdict, 4 if the model gave no clear answer.
    """
    import asyncio

    from bellwire.admission.assessment import assess as by_rules
    from bellwire.admission.circuit import angles, drawn, probabilities
    from bellwire.admission.evidence import Claim, measured, read_address
    from bellwire.admission.fingerprint import colour

    claim = Claim(ping, jitter, read_address(address))
    found = measured(echo, read_address(seen) if seen else claim.address)
    assessor = _assessor(model_url, model, model_key)
    judged = by_rules(claim, found)
    if assessor is not None:
        judged = asyncio.run(assessor.assess(claim, found, judged))
    turns = angles(claim.ping_ms, claim.jitter_ms, claim.address)
    if json:
        output.emit(
            {
                "verdict": judged.verdict,
                "reasons": judged.reasons,
                "assessor": judged.assessor,
                "distance": judged.distance,
                "colour": str(colour(claim.address)),
                "angles": turns,
                "probabilities": probabilities(turns),
                "measured": {
                    "ping_ms": found.ping_ms,
                    "jitter_ms": found.jitter_ms,
                    "echoes": found.echoes,
                },
            }
        )
    else:
        _show(judged, claim, found, turns, drawn(turns))


def _show(
    judged: "Assessment", claim: "Claim", found: "Measured", turns: "Angles", circuit: str
) -> None:
    from rich.text import Text

    from bellwire.admission.assessment import Verdict
    from bellwire.admission.circuit import probabilities
    from bellwire.admission.fingerprint import colour

    screen = output.stdout()
    good = judged.verdict is Verdict.SECURE
    screen.print(
        Text.assemble((judged.verdict, "bold green" if good else "bold red"), " by ")
        + Text(judged.assessor)
    )
    for reason in judged.reasons:
        screen.print(Text(f"  against: {reason}"))
    jitter = "unknown" if found.jitter_ms is None else f"{found.jitter_ms:.1f} ms"
    screen.print(
        f"claimed   ping {claim.ping_ms:.1f} ms, jitter {claim.jitter_ms:.1f} ms\n"
        f"measured  ping {found.ping_ms:.1f} ms, jitter {jitter}, {found.echoes} echoes"
    )
    shade = colour(claim.address)
    screen.print(Text.assemble("colour    ", (f" {shade} ", f"on {shade}"), " (decoration)"))
    screen.print(Text(f"\n{circuit}\n"))
    numbers = [f"{number:04b} {share:.3f}" for number, share in enumerate(probabilities(turns))]
    for first in range(0, 16, 4):
        screen.print("  ".join(numbers[first : first + 4]))
    screen.print(
        f"\nclaim and measurement differ by {judged.distance:.3f} (0 to 1). The circuit is a map "
        "of these\nnumbers; it proves nothing about who sends them."
    )


def _assessor(url: str | None, model: str | None, key: Path | None) -> "ModelAssessor | None":
    from bellwire.admission.model import ModelAssessor, read_key
    from bellwire.base.errors import UsageError

    if url is None:
        if model is not None or key is not None:
            raise UsageError("expected --model-url together with --model and --model-key")
        return None
    if model is None:
        raise UsageError("expected --model together with --model-url")
    import ssl

    return ModelAssessor(
        url, model, None if key is None else read_key(key), ssl.create_default_context()
    )


def _cloud_place(handle: str | None, name: str, address: str | None) -> "CloudPlace | None":
    """The cloud that devices are told of, as the options say."""
    from bellwire.admission.channel import CloudPlace
    from bellwire.base.errors import UsageError
    from bellwire.base.handles import canonical
    from bellwire.cli.destinations import parse_destination

    if handle is None:
        if address is not None:
            raise UsageError("expected --cloud NAME beside --cloud-at")
        return None
    if not (1 <= len(name) <= 60 and name.isprintable()):
        raise UsageError("expected a --cloud-name of 1 to 60 printable characters")
    if address is not None and not address.startswith(("mqtt://", "mqtts://")):
        parse_destination(address)
    return CloudPlace(canonical(handle), name, address)


def _channel_authority(settings: "Settings", *, make: bool) -> "DeviceCertificates":
    """What signs certificates of the channel; IdentityError if there is none, and none is made."""
    from bellwire.base.private import own_folder
    from bellwire.cli.protection import protection_of
    from bellwire.iot.authority import FOLDER
    from bellwire.node.admission_channel import opened, opened_or_made

    folder = own_folder(settings.state.dir) / FOLDER
    protection = protection_of(settings, None, folder)
    return (opened_or_made if make else opened)(folder, protection)


@contextmanager
def _register(state: Path | None, config: Path | None) -> "Iterator[Register]":
    from bellwire.admission.register import Register
    from bellwire.base.private import own_folder
    from bellwire.node.admission import admission_folder
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    folder = own_folder(settings.state.dir)
    # The server may have been told of its log by another: what it said of it, counts.
    recorded = True if settings.ledger.url else None
    register = Register(admission_folder(folder), recorded=recorded)
    try:
        yield register
    finally:
        register.close()


def _decide(
    name: str, standing: "Standing", state: Path | None, config: Path | None, *, as_json: bool
) -> None:
    import time

    from bellwire.base.handles import canonical

    with _register(state, config) as register:
        found = register.decide(canonical(name), standing, int(time.time()))
    _tell(found, as_json=as_json)


def _tell(found: "Registration", *, as_json: bool) -> None:
    if as_json:
        output.emit(_plain(found))
    else:
        output.stdout().print(f"{found.handle} is {found.standing}")


def _plain(found: "Registration") -> dict[str, object]:
    import base64

    return {
        "username": found.handle,
        "status": found.standing,
        "verdict": found.verdict,
        "reasons": found.reasons,
        "assessor": found.assessor,
        "since": found.since,
        "changed": found.changed,
        "by": found.by,
        "public_keys": {kind: base64.b64encode(key).decode() for kind, key in found.keys.items()},
    }
