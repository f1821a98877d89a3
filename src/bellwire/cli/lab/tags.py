"""`bellwire lab tags`: write the time tags that a source of pairs would leave at two sites."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import JsonFlag, SeedOption


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write: DIR/a is Alice's, DIR/b Bob's.")
    ],
    protocol: Annotated[str, typer.Option(help="bbm92 or e91.")] = "e91",
    pairs_per_s: Annotated[float, typer.Option(help="Pairs that the source emits a second.")] = 2e5,
    seconds: Annotated[float, typer.Option(help="Length of the recording.")] = 10.0,
    visibility: Annotated[float, typer.Option(help="Of the pairs, 0 to 1.")] = 0.96,
    transmission: Annotated[
        float, typer.Option(help="Chance that a photon clicks: losses and detector, each side.")
    ] = 0.25,
    dark: Annotated[float, typer.Option(help="Dark counts of each detector, per second.")] = 200.0,
    jitter: Annotated[float, typer.Option(help="Of each click, standard deviation, ps.")] = 150.0,
    dead: Annotated[float, typer.Option(help="Dead time of each detector, ns.")] = 50.0,
    afterpulse: Annotated[float, typer.Option(help="Chance of one after a click, to 0.5.")] = 0.0,
    clock_offset: Annotated[
        float, typer.Option(help="What Bob's clock shows more than Alice's, s.")
    ] = 0.0,
    clock_drift: Annotated[float, typer.Option(help="How much faster it runs, ppm.")] = 0.0,
    window: Annotated[int, typer.Option(help="Coincidence window to be used, ps.")] = 1_000,
    search: Annotated[float, typer.Option(help="How far the clocks may disagree, s.")] = 2.0,
    max_drift: Annotated[float, typer.Option(help="How fast they may drift apart, ppm.")] = 50.0,
    eve: Annotated[
        str, typer.Option(metavar="KIND[:SHARE]", help="Who is on the line: intercept-resend …")
    ] = "none",
    eve_axis: Annotated[
        str | None, typer.Option(metavar="AXES", help="Where she measures: degrees or 'uniform'.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="bellwire, swabian-dump or csv.")
    ] = "bellwire",
    seed: SeedOption = None,
    json: JsonFlag = False,
) -> None:
    """Write generated time tags of both sites, each into a folder of its own.

    The recordings say that they are generated; keys from them count as simulated.
    """
    import secrets

    from bellwire.base.detections import Protocol
    from bellwire.base.errors import UsageError
    from bellwire.lab import tags
    from bellwire.link.eve import parse_axes, parse_eve
    from bellwire.link.timetags.generator import Scene, Station
    from bellwire.link.timetags.recording import TagFormat

    words = {"protocol": (Protocol, protocol), "format": (TagFormat, form)}
    for name, (kind, value) in words.items():
        if value not in list(kind):
            raise UsageError(f"expected --{name} as one of {', '.join(kind)}, got {value}")
    station = Station(
        transmission=transmission,
        dark_hz=dark,
        jitter_ps=jitter,
        dead_ns=dead,
        afterpulse=afterpulse,
    )
    scene = Scene(
        protocol=Protocol(protocol),
        pairs_hz=pairs_per_s,
        seconds=seconds,
        visibility=visibility,
        alice=station,
        bob=station,
        clock_offset_s=clock_offset,
        clock_drift_ppm=clock_drift,
        eve=parse_eve(eve, parse_axes(eve_axis) if eve_axis else None),
    )
    if seed is None:
        seed = secrets.randbits(63)
    with output.progress("recording", total=seconds, unit="s of light") as meter:
        written = tags.write(
            folder,
            scene,
            seed=seed,
            form=TagFormat(form),
            window_ps=window,
            search_s=search,
            max_drift_ppm=max_drift,
            progress=meter.advance,
        )
    expected = scene.coincidences_hz(window) * seconds
    if json:
        output.emit(
            {
                "folder": folder,
                "protocol": protocol,
                "seed": seed,
                "seconds": seconds,
                "tags": written,
                "expected_coincidences": expected,
                "expected_by_chance": scene.accidentals_hz(window) * seconds,
            }
        )
        return
    output.stdout().print(
        f"{written['a']:,} tags in {folder / 'a'}, {written['b']:,} in {folder / 'b'}; about "
        f"{expected:,.0f} coincidences; seed {seed}"
    )
