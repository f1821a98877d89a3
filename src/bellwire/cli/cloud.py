"""`bellwire cloud`: takes readings from enrolled devices."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import QkdOption, parse_address
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, ToOption, protection_of
from bellwire.cli.session import PaddingOption, session_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from bellwire.iot.events import Arrived, Event, TurnedAway


app = typer.Typer(help="Take readings from enrolled devices.")


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
    print_readings: Annotated[
        bool, typer.Option("--print", help="Print readings as they arrive, one JSON line each.")
    ] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Stop when standard input ends.")
    ] = False,
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
    from contextlib import closing

    from bellwire.base.descriptors import raise_limit
    from bellwire.base.lifetime import until_stopped
    from bellwire.channel.handshake import Policy
    from bellwire.cli.addresses import key_source
    from bellwire.iot import identity
    from bellwire.iot.authority import TrustFiles
    from bellwire.iot.cloud import Cloud
    from bellwire.iot.counters import SeenCounters
    from bellwire.iot.destination import join
    from bellwire.iot.store import CloudStore
    from bellwire.node import logs
    from bellwire.node.settings import load

    if (authority is None) != (revoked is None):
        raise UsageError("expected --authority FILE and --revoked FILE together, or neither")
    settings = load(config, {"state": {"dir": state}})
    default = (settings.addresses.cloud_host, settings.addresses.cloud_port)
    host, port = parse_address(listen) if listen else default
    at_udp = parse_address(udp) if udp else None
    logs.setup(settings.log.level, settings.log.format)
    folder = settings.state.dir / "cloud"

    async def serve() -> None:
        protection = protection_of(settings, key_protection, folder)
        key = identity.load_or_create(folder, protection, public_file="cloud.pub")
        public = folder / "cloud.pub"
        identity.write_public(public, identity.PublicIdentity("cloud", name, key.public_bytes))
        allowed = folder / identity.ALLOWED_FOLDER
        with CloudStore(folder) as store, closing(SeenCounters(folder / "handshakes")) as counters:
            cloud = Cloud(
                identity=key,
                name=name,
                admitted=identity.AllowList(allowed),
                store=store,
                keys=key_source(keys),
                policy=Policy[qkd.upper()],
                notify=_Teller(print_readings=print_readings),
                counters=counters,
                trust=TrustFiles(authority, revoked) if authority and revoked else None,
                options=session_options(padding),
                descriptors=raise_limit(),
            )
            async with cloud:
                taken = await cloud.start(host, port)
                taken_udp = await cloud.start_udp(*at_udp) if at_udp else None
                output.emit(
                    {
                        "ready": True,
                        "service": "cloud",
                        "listen": f"{taken[0]}:{taken[1]}",
                        "udp": join(*taken_udp) if taken_udp else None,
                        "name": name,
                        "public_key": public,
                        "allowed": allowed,
                        "devices": folder / "devices",
                    }
                )
                await until_stopped(with_parent=with_parent)

    asyncio.run(serve())


@app.command()
def protect(
    to: ToOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Say how the cloud's key rests, or wrap it under a passphrase, a keyring or a token."""
    from bellwire.cli import protection
    from bellwire.iot.identity import IDENTITY
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    folder = settings.state.dir / "cloud"
    protection.protect(settings, folder, IDENTITY, key_protection, to, json=json)


TOLD_A_SECOND = 20
"""Connections turned away that are logged one by one; of the rest, how many."""


class _Teller:
    """Logs events, and prints readings if they are to be printed and somebody reads them.

    A flood of connections must not become a flood of lines.
    """

    def __init__(
        self, *, print_readings: bool, clock: "Callable[[], float]" = time.monotonic
    ) -> None:
        import structlog

        self._log = structlog.get_logger("cloud")
        self._printing = print_readings
        self._clock = clock
        self._second = clock()
        self._told = self._untold = 0

    def __call__(self, event: "Event") -> None:
        from bellwire.iot.events import Arrived, SessionOpened, TurnedAway

        if isinstance(event, SessionOpened):
            names = event.protections.names
            self._log.info("session", device=event.device.name, protections=names)
        elif isinstance(event, Arrived):
            self._log.info("readings stored", device=event.device.name, count=len(event.readings))
            self._print(event)
        elif isinstance(event, TurnedAway):
            self._tell_away(event)
        else:
            self._log.warning("key file ignored", reason=event.reason)

    def _tell_away(self, event: "TurnedAway") -> None:
        now = self._clock()
        if now - self._second >= 1.0:
            if self._untold:
                self._log.warning("more turned away", count=self._untold)
            self._second, self._told, self._untold = now, 0, 0
        if self._told < TOLD_A_SECOND:
            self._told += 1
            self._log.warning("turned away", peer=event.peer, reason=event.reason)
        else:
            self._untold += 1

    def _print(self, event: "Arrived") -> None:
        try:
            for number, reading in enumerate(event.readings, event.first):
                if self._printing:
                    output.emit(
                        {
                            "device": event.device.name,
                            "stream": event.stream.hex(),
                            "number": number,
                            "reading": reading.decode(errors="replace"),
                        }
                    )
        except BrokenPipeError:
            # The readings are stored; that nobody looks at them must not keep the next ones out.
            self._printing = False
            self._log.warning("nobody reads standard output: readings are no longer printed")
