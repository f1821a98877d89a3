"""`bellwire device fleet`: many simulated devices, to try a cloud."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.destinations import parse_destination
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bellwire.iot.fleet import Tally

MAX_DEVICES = 20_000


def command(
    cloud_key: Annotated[
        Path, typer.Option(metavar="FILE", help="The cloud's public key, its file cloud.pub.")
    ],
    count: Annotated[int, typer.Option(metavar="N", min=1, max=MAX_DEVICES, help="Devices.")] = 100,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Where the cloud listens. Default: as the settings say."
        ),
    ] = None,
    allow: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The cloud's folder of admitted devices, to enrol them."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=1, max=86_400, help="How long it runs.")
    ] = 60.0,
    interval: Annotated[
        float,
        typer.Option(metavar="S", min=0.001, max=3600, help="Mean pause between readings."),
    ] = 5.0,
    stay: Annotated[
        float, typer.Option(metavar="S", min=0.01, max=1e6, help="Mean length of a session.")
    ] = 20.0,
    away: Annotated[
        float, typer.Option(metavar="S", min=0.01, max=1e6, help="Mean time between two.")
    ] = 5.0,
    arrivals: Annotated[
        float, typer.Option(metavar="N", min=0.1, max=1e5, help="First sessions begun a second.")
    ] = 50.0,
    seed: Annotated[int, typer.Option(min=0, help="Of pauses and readings.")] = 0,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Simulate devices that come, send, leave and come back, and say how the cloud did.

    They are devices like any other, without QKD keys, under identities of their own in the folder
    `fleet` of the state folder.
    """
    import asyncio

    from bellwire.base.descriptors import raise_limit
    from bellwire.iot import fleet
    from bellwire.iot.destination import Address
    from bellwire.iot.identity import read_public
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    default = (settings.addresses.cloud_host, settings.addresses.cloud_port)
    address = parse_destination(to) if to else Address(*default)
    pin = read_public(cloud_key, "cloud")
    keys = fleet.identities(fleet.own_secret(settings.state.dir / "fleet"), count)
    if allow is not None:
        fleet.admit(keys, allow)
    raise_limit()
    habits = fleet.Habits(seconds, interval, stay, away, arrivals, seed)
    tally = fleet.Tally()
    with output.progress("the fleet runs") as meter:

        def show() -> None:
            meter.describe(
                f"{tally.connected:,} of {count:,} connected, {tally.readings:,} readings"
            )

        asyncio.run(fleet.run(keys, pin, address, habits, tally=tally, progress=show))
    _report(tally, count, seconds, json)


def _report(tally: "Tally", count: int, seconds: float, json: bool) -> None:
    handshakes, answers = _quantiles(tally.handshakes_s), _quantiles(tally.answers_s)
    failed = sum(tally.failures.values())
    if json:
        output.emit(
            {
                "devices": count,
                "seconds": seconds,
                "most_connected": tally.most_connected,
                "sessions": tally.sessions,
                "resumed": tally.resumed,
                "readings": tally.readings,
                "failed": failed,
                "failures": dict(tally.failures),
                "handshake_ms": handshakes,
                "answer_ms": answers,
            }
        )
    else:
        console = output.stdout()
        console.print(
            f"{count:,} devices, at most {tally.most_connected:,} at once: {tally.sessions:,} "
            f"sessions, {tally.resumed:,} of them resumed; {tally.readings:,} readings "
            f"are at the cloud; {failed:,} sessions failed."
        )
        for what, found in (("A handshake", handshakes), ("An answer", answers)):
            if found is not None:
                console.print(
                    f"{what} took {found['p50']:.1f} ms in the middle, {found['p99']:.1f} ms "
                    "of 99 in 100."
                )
        for reason, times in tally.failures.most_common():
            console.print(f"{reason}: {times:,}")


def _quantiles(seconds: "Sequence[float]") -> dict[str, float] | None:
    """Milliseconds of the middle one and of that below which 99 in 100 are."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    at = (("p50", 0.5), ("p99", 0.99))
    return {name: 1000 * ordered[int(share * (len(ordered) - 1))] for name, share in at}
