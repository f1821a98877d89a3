"""`bellwire cloud`: takes readings from enrolled devices."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import cloud_keys, cloud_messages, output
from bellwire.cli.addresses import QkdOption
from bellwire.cli.destinations import LoginOption
from bellwire.cli.options import ConfigOption, MetricsOption, StateOption, WithParentFlag
from bellwire.cli.protection import ProtectionOption, protection_of
from bellwire.cli.session import PaddingOption, session_options

if TYPE_CHECKING:
    from bellwire.crypto.kek.source import KekSource
    from bellwire.crypto.kem import XWingPrivateKey
    from bellwire.iot.limits import Limits

PUBLIC_FILE = "cloud.pub"

app = typer.Typer(help="Take readings from enrolled devices.")
app.command("invite")(cloud_keys.invite)
app.command("invitations")(cloud_keys.invitations)
app.command("protect")(cloud_keys.protect)
app.command("send")(cloud_messages.send)
app.command("routes")(cloud_messages.routes)


@app.callback(invoke_without_command=True)
def command(
    context: typer.Context,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where to listen; port 0 takes a free one. Default: as the settings say.",
        ),
    ] = None,
    udp: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Take UDP datagrams as well, here."),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="BROKER",
            help="Take what comes to this broker: mqtt://HOST, or with :PORT and /PREFIX.",
        ),
    ] = None,
    broker_login: LoginOption = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="SOCKET", help="Key delivery socket of this site's node.")
    ] = None,
    name: Annotated[str, typer.Option(help="What devices call this cloud.")] = "cloud",
    qkd: QkdOption = "prefer",
    authority: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take devices that this authority certifies."),
    ] = None,
    revoked: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The authority's list of revoked certificates."),
    ] = None,
    padding: PaddingOption = "off",
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Hand readings on: sqlite:PATH, nats://HOST or mqtt://HOST. May be repeated.",
        ),
    ] = None,
    device_rate: Annotated[
        float, typer.Option(metavar="N", min=1, help="Readings a second that one device may bring.")
    ] = 20_000,
    rate: Annotated[
        float, typer.Option(metavar="N", min=1, help="Readings a second of all devices together.")
    ] = 200_000,
    metrics: MetricsOption = None,
    drain: Annotated[
        float,
        typer.Option(
            metavar="S", min=0, max=600, help="Seconds for sessions to end when it is stopped."
        ),
    ] = 5.0,
    print_readings: Annotated[
        bool, typer.Option("--print", help="Print readings as they arrive, one JSON line each.")
    ] = False,
    with_parent: WithParentFlag = False,
    key_protection: ProtectionOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Take readings from enrolled devices, over channels keyed by X25519, ML-KEM-768 and QKD.

    The first line on standard output is a JSON document that says where the cloud listens, and
    where its public key and its list of admitted devices lie. It runs until it is told to stop.
    """
    if context.invoked_subcommand is not None:
        return
    import asyncio
    from contextlib import ExitStack, closing

    from bellwire.base.descriptors import raise_limit
    from bellwire.base.lifetime import until_stopped
    from bellwire.channel.handshake import Policy
    from bellwire.cli.addresses import key_source
    from bellwire.cli.cloud_desk import CloudDesk
    from bellwire.cli.cloud_doors import Doors
    from bellwire.cli.cloud_teller import Teller
    from bellwire.iot.cloud import Cloud
    from bellwire.iot.counters import SeenCounters
    from bellwire.iot.figures import CloudFigures
    from bellwire.iot.gateway.pushing import Gateway
    from bellwire.iot.gateway.queue import MessageQueue
    from bellwire.iot.outputs.cursors import FILE, Cursors
    from bellwire.iot.outputs.place import parse_place
    from bellwire.iot.outputs.running import Outputs
    from bellwire.iot.store import CloudStore
    from bellwire.iot.trust_files import TrustFiles
    from bellwire.node import logs
    from bellwire.node.settings import load
    from bellwire.web.loopback import shown

    if (authority is None) != (revoked is None):
        raise UsageError("expected --authority FILE and --revoked FILE together, or neither")
    places = [parse_place(place) for place in to or ()]
    settings = load(config, {"state": {"dir": state}})
    default = (settings.addresses.cloud_host, settings.addresses.cloud_port)
    doors = Doors.parse(listen, default, udp, mqtt, broker_login)
    logs.setup(settings.log.level, settings.log.format)
    folder = settings.state.dir / "cloud"

    async def serve() -> None:
        key = _own_key(folder, name, protection_of(settings, key_protection, folder))
        with (
            CloudStore(folder) as store,
            closing(SeenCounters(folder / "handshakes")) as counters,
            Cursors(folder / FILE) as cursors,
            MessageQueue(folder) as messages,
            ExitStack() as showing,
        ):
            tell = Teller(print_readings=print_readings)
            desk = CloudDesk(folder, name, store, tell)
            figures = CloudFigures(desk.roster.notify)
            outputs = Outputs(
                {place.name: place.open() for place in places},
                cursors=cursors,
                folder=folder / "devices",
                tell=figures.notify,
            )
            gateway = Gateway(messages, outputs.notify)
            cloud = Cloud(
                identity=key,
                name=name,
                admitted=desk.admitted,
                store=store,
                keys=key_source(keys),
                policy=Policy[qkd.upper()],
                notify=outputs.notify,
                counters=counters,
                trust=TrustFiles(authority, revoked, seen=folder / "revoked.seen")
                if authority and revoked
                else None,
                options=session_options(padding),
                descriptors=raise_limit(),
                limits=_limits(device_rate, rate),
                invitations=desk.invitations,
                gateway=gateway,
            )
            figures.watch(outputs.pumps, cloud.reception, messages)
            asked = desk.answering(messages, cloud.reception)
            async with outputs.running(), gateway.running(), cloud, asked:
                listening = desk.listens(await doors.open(cloud, outputs.notify))
                output.emit(
                    {
                        "ready": True,
                        "service": "cloud",
                        **listening,
                        "name": name,
                        "public_key": folder / PUBLIC_FILE,
                        "allowed": desk.allowed,
                        "devices": folder / "devices",
                        "outputs": [place.name for place in places],
                        "metrics": showing.enter_context(shown(figures, metrics)),
                    }
                )
                await until_stopped(with_parent=with_parent)
                tell.undrained(await cloud.drain(drain))

    asyncio.run(serve())


def _own_key(folder: Path, name: str, protection: "KekSource | None") -> "XWingPrivateKey":
    """The cloud's key, and beside it the public one for devices."""
    from bellwire.iot.identity import PublicIdentity, load_or_create, write_public

    key = load_or_create(folder, protection, public_file=PUBLIC_FILE)
    write_public(folder / PUBLIC_FILE, PublicIdentity("cloud", name, key.public_bytes))
    return key


def _limits(device_rate: float, rate: float) -> "Limits":
    """One device may bring five seconds' worth at once, all together two."""
    from bellwire.iot.limits import Limits
    from bellwire.iot.rates import Rate

    return Limits(device_rate=Rate(device_rate, 5 * device_rate), total_rate=Rate(rate, 2 * rate))
