"""`bellwire relay`: carries messages for people who are away."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import parse_address
from bellwire.cli.node import loop_factory
from bellwire.cli.options import (
    CertificateOption,
    ConfigOption,
    JsonFlag,
    ListenOption,
    MetricsOption,
    StateOption,
    TlsKeyOption,
    WithParentFlag,
    require_both,
)

if TYPE_CHECKING:
    import ssl
    from contextlib import AbstractContextManager

    from bellwire.chat.accounts.admission import Admission
    from bellwire.chat.accounts.desk import AccountDesk
    from bellwire.chat.relay.ladder import Ladder, Whereabouts
    from bellwire.chat.relay.moving import Mover
    from bellwire.chat.relay.operator import RelayOperator
    from bellwire.chat.relay.server import Relay
    from bellwire.cli.relay_others import Others


app = typer.Typer(add_completion=False)


class LevelName(StrEnum):
    """How far a relay moves."""

    HOME = "home"
    PORT = "port"
    ADDRESS = "address"
    INTERFACE = "interface"
    LOCKDOWN = "lockdown"


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    listen: ListenOption = "127.0.0.1:8765",
    certificate: CertificateOption = None,
    key: TlsKeyOption = None,
    sign_up: Annotated[
        str,
        typer.Option(metavar="open|invited|closed", help="Who may have a new handle here."),
    ] = "open",
    invitations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For --sign-up invited: 32 hexadecimal digits a line, 0600."
        ),
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="What clients are told of its home. Default: where it listens."
        ),
    ] = None,
    ports: Annotated[
        str | None,
        typer.Option(metavar="FIRST-LAST", help="Ports to move among. Default: any free one."),
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address", metavar="HOST:PORT[=URL]", help="Where it may retreat to; again for more."
        ),
    ] = None,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            "--interface", metavar="NAME[:PORT]", help="The same of interfaces; again for more."
        ),
    ] = None,
    grace: Annotated[
        float,
        typer.Option(metavar="S", min=0, max=3600, help="How long it stays at its old place, too."),
    ] = 5.0,
    signposts: Annotated[
        bool, typer.Option("--signposts", help="Old places then say where it is, and nothing else.")
    ] = False,
    notice: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the signed notice of where it is there, for all."),
    ] = None,
    at_home: Annotated[
        bool, typer.Option("--at-home", help="Begin at home, wherever it stood when it ended.")
    ] = False,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Share this PostgreSQL server with other relays. Default: relay.store.",
        ),
    ] = None,
    nats: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Hear them over this NATS server. Default: relay.nats."),
    ] = None,
    metrics: MetricsOption = None,
    with_parent: WithParentFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Carry messages between people: store them while one is away, deliver them in order.

    The relay sees payloads of three sizes and random mailboxes; neither who drops nor what is said.
    The first line on standard output is a JSON document that says where it listens. It runs until
    it is told to stop.
    """
    if context.invoked_subcommand is not None:
        return
    import asyncio

    from bellwire.chat.relay.ladder import Ladder, read_spot
    from bellwire.chat.relay.standing import Spot
    from bellwire.cli.relay_others import others_of
    from bellwire.node import logs
    from bellwire.node.settings import load

    require_both(certificate, key)
    admission = _admission(sign_up, invitations)
    host, port = parse_address(listen)
    home = Spot(host, port) if place is None else read_spot(f"{listen}={place}")
    ladder = Ladder(
        home,
        None if ports is None else _range(ports),
        tuple(read_spot(each) for each in address or ()),
        tuple(interface or ()),
        grace,
        signposts,
        notice,
    )
    settings = load(config, {"state": {"dir": state}, "relay": {"store": store, "nats": nats}})
    logs.setup(settings.log.level, settings.log.format)
    folder = settings.state.dir / "relay"
    moves = (ports, address, interface, signposts, notice, at_home)
    others = others_of(settings.relay, folder, moves=any(moves))
    tls = None if certificate is None or key is None else _tls(certificate, key)
    # As a node has it: this loop takes less of the processor for a message.
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(
            _serve(
                folder,
                ladder,
                tls,
                admission,
                others,
                metrics,
                at_home=at_home,
                with_parent=with_parent,
            )
        )


async def _serve(
    folder: Path,
    ladder: "Ladder",
    tls: "ssl.SSLContext | None",
    admission: "Admission",
    others: "Others | None",
    metrics: int | None,
    *,
    at_home: bool,
    with_parent: bool,
) -> None:
    import contextlib
    import time

    from bellwire.base.descriptors import raise_limit
    from bellwire.chat.accounts.desk import AccountDesk
    from bellwire.chat.accounts.service import AccountService
    from bellwire.chat.accounts.store import AccountStore
    from bellwire.chat.identity import Identity
    from bellwire.chat.relay.moving import Mover
    from bellwire.chat.relay.operator import operator_server
    from bellwire.chat.relay.server import Relay, RelayLimits
    from bellwire.chat.relay.store import RelayStore, alone_in

    # Some descriptors are for the store, standard streams and the loop.
    limits = RelayLimits(connections=min(8192, raise_limit() - 64))
    async with contextlib.AsyncExitStack() as undo:
        if others is not None:
            undo.enter_context(alone_in(folder))
        store = RelayStore(folder if others is None else others.store)
        undo.callback(store.close)
        people = AccountStore(folder if others is None else others.accounts)
        undo.callback(people.close)
        with people.transaction() as ledger:
            untouched = ledger.is_untouched()
        if untouched or others is not None:
            store.take_id(Identity(people.relay_seed).public.fingerprint)
        service = AccountService(
            people,
            store.relay_id,
            admission=admission,
            now=time.time,
            clock=time.monotonic,
        )
        desk = AccountDesk(service)
        undo.callback(desk.close)
        news = None if others is None else others.news(people.relay_seed, store)
        relay = Relay(store, limits, accounts=desk, news=news)
        undo.push_async_callback(relay.stop)
        relay.begin()
        mover = Mover(relay, ladder, people.relay_seed, folder, tls)
        undo.push_async_callback(mover.close)
        try:
            await mover.begin(at_home=at_home)
        except OSError as error:
            raise UsageError(
                f"expected to listen at {mover.trying}, got: {error.strerror}",
                hint="If it moved, and cannot be there any more: bellwire relay --at-home",
            ) from error
        operators = operator_server(mover, folder)
        await operators.start()
        undo.push_async_callback(operators.close)
        scraped_at = undo.enter_context(_shown(relay, mover, metrics))
        output.emit({**_about(mover, tls, desk), "metrics": scraped_at})
        await _until_ended(relay, with_parent=with_parent)


def _shown(
    relay: "Relay", mover: "Mover", port: int | None
) -> "AbstractContextManager[int | None]":
    """Show its figures at a port of this machine's loopback; with none, load nothing for it."""
    import contextlib

    if port is None:
        return contextlib.nullcontext()
    from bellwire.chat.relay.figures import RelayFigures
    from bellwire.web.loopback import shown

    return shown(RelayFigures(relay.counted, relay.condition, mover.whereabouts), port)


async def _until_ended(relay: "Relay", *, with_parent: bool) -> None:
    """Until the relay is told to stop; what ended its work otherwise is raised."""
    import asyncio

    from bellwire.base.lifetime import until_stopped

    stop = asyncio.create_task(until_stopped(with_parent=with_parent))
    work = asyncio.create_task(relay.working())
    ended, left = await asyncio.wait({stop, work}, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    for task in ended:
        task.result()


def _about(mover: "Mover", tls: "ssl.SSLContext | None", desk: "AccountDesk") -> dict[str, object]:
    there = mover.whereabouts()
    address = f"{_bracketed(mover.home.host)}:{mover.home.port}"
    return {
        "ready": True,
        "service": "relay",
        "listen": address,
        "url": mover.home.url or f"{'ws' if tls is None else 'wss'}://{address}",
        "accounts": desk.fingerprint.hex(),
        "level": there.level.name.lower(),
        "places": there.places,
    }


@app.command()
def move(
    level: Annotated[LevelName, typer.Argument(help="How far; home brings it back.")],
    place: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PLACE]...",
            help="A port; addresses HOST:PORT[=URL]; or interfaces NAME[:PORT]. "
            "Default: what the relay was started with.",
        ),
    ] = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Move the relay of this state folder; its clients follow, and lose nothing."""
    import asyncio

    from bellwire.channel.places import Level

    operator = _operator(state, config)
    _tell(asyncio.run(operator.move(Level[level.name], tuple(place or ()))), as_json=json)


@app.command()
def places(json: JsonFlag = False, state: StateOption = None, config: ConfigOption = None) -> None:
    """Say where the relay of this state folder is."""
    import asyncio

    _tell(asyncio.run(_operator(state, config).look()), as_json=json)


@app.command()
def status(json: JsonFlag = False, state: StateOption = None, config: ConfigOption = None) -> None:
    """Say how the relay of this state folder is: connections, what waits, store, other relays."""
    import asyncio

    from msgspec.structs import asdict

    found = asyncio.run(_operator(state, config).status())
    if json:
        output.emit(asdict(found))
        return
    works = "works" if found.store_works else "FAILED when it was last asked"
    news = {
        "heard": "; other relays are heard over NATS",
        "away": "; the NATS server is away: other relays are looked for instead",
        "none": "",
    }
    output.stdout().print(
        f"{found.connections} connections, {found.listeners} of them listen; "
        f"{found.waiting} requests wait for the store\n"
        f"Store: {found.store}, {works}{news[found.news]}",
        highlight=False,
    )


def _operator(state: Path | None, config: Path | None) -> "RelayOperator":
    from bellwire.chat.relay.operator import RelayOperator
    from bellwire.node.settings import load

    return RelayOperator(load(config, {"state": {"dir": state}}).state.dir / "relay")


def _tell(there: "Whereabouts", *, as_json: bool) -> None:
    level = there.level.name.lower()
    if as_json:
        output.emit(
            {
                "level": level,
                "places": there.places,
                "sequence": there.sequence,
                "until": there.until,
            }
        )
        return
    where = ", ".join(there.places) or "nowhere: all is shut"
    notice = f" (notice {there.sequence})" if there.sequence else ""
    output.stdout().print(f"Level {level}: {where}{notice}", highlight=False)


def _range(text: str) -> tuple[int, int]:
    from bellwire.chat.relay.ladder import is_port

    first, _, last = text.partition("-")
    if not is_port(first) or not is_port(last) or not 1 <= int(first) <= int(last):
        raise UsageError(f"--ports: expected FIRST-LAST of 1 to 65535, got {text[:40]!r}")
    return int(first), int(last)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _admission(sign_up: str, invitations: Path | None) -> "Admission":
    from bellwire.chat.accounts.admission import Admission, SignUps, invitations_in

    if sign_up not in {each.value for each in SignUps}:
        raise UsageError(f"--sign-up: expected open, invited or closed, got {sign_up[:40]!r}")
    chosen = SignUps(sign_up)
    if (chosen is SignUps.INVITED) != (invitations is not None):
        raise UsageError("expected --invitations together with --sign-up invited")
    if invitations is None:
        return Admission(chosen)
    invitations_in(invitations)  # what is wrong with it is said now
    return Admission(chosen, lambda: invitations_in(invitations))


def _tls(certificate: Path, key: Path) -> "ssl.SSLContext":
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"expected a certificate in {certificate} and its key in {key}, got neither or others"
        ) from error
    return context
