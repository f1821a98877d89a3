"""`bellwire link`: the quantum link, simulated, as a process of its own."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, SeedOption, StateOption, WithParentFlag


def command(
    run_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the sockets. Default: STATE/link."),
    ] = None,
    lab: Annotated[
        bool, typer.Option("--lab", help="Open a control socket; permit --eve and --seed.")
    ] = False,
    eve: Annotated[
        str | None,
        typer.Option(
            metavar="KIND[:SHARE]",
            help="Attack from the start: intercept-resend, breidbart, ghz, cloner or substitution; "
            "on weak pulses intercept-resend, pns, beam-splitting or blinding; share 0 to 1; lab "
            "only.",
        ),
    ] = None,
    eve_axis: Annotated[
        str | None,
        typer.Option(metavar="DEGREES|uniform", help="Eve's axes on the Bloch sphere: 45,90."),
    ] = None,
    seed: SeedOption = None,
    km: Annotated[float | None, typer.Option(help="Length of the fibre, km.")] = None,
    loss: Annotated[float | None, typer.Option(help="Loss of the fibre, dB/km.")] = None,
    insertion_loss: Annotated[
        float | None, typer.Option(help="Loss of everything else on the way, dB.")
    ] = None,
    efficiency: Annotated[
        float | None, typer.Option(help="Chance that a photon clicks, in (0, 1].")
    ] = None,
    dark: Annotated[
        float | None, typer.Option(help="Chance of a false click per detector and gate.")
    ] = None,
    misalignment: Annotated[
        float | None, typer.Option(help="QBER of the link without Eve, 0 to 0.5.")
    ] = None,
    dead_gates: Annotated[
        int | None, typer.Option(help="Slots that detectors are blind after a click.")
    ] = None,
    afterpulse: Annotated[
        float | None, typer.Option(help="Chance that a click is followed by another, in [0, 1).")
    ] = None,
    afterpulse_gates: Annotated[
        float | None, typer.Option(help="Decay time of these, slots.")
    ] = None,
    with_parent: WithParentFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Run the quantum link: it gives each node its half of every block, and keeps nothing.

    Physical values that are not given come from the settings (section link). One JSON line on
    standard output says that the sockets listen.
    """
    import asyncio

    from bellwire.base.lifetime import until_stopped
    from bellwire.base.memory import keep_freed_memory
    from bellwire.link.attacks import parse_any_eve
    from bellwire.link.eve import parse_axes
    from bellwire.link.service import LinkService
    from bellwire.node.physics import link_config
    from bellwire.node.settings import load

    attack = parse_any_eve(eve or "none", parse_axes(eve_axis) if eve_axis else None)
    physics = {
        "fibre_km": km,
        "loss_db_per_km": loss,
        "insertion_loss_db": insertion_loss,
        "detector_efficiency": efficiency,
        "dark_count_probability": dark,
        "misalignment": misalignment,
        "dead_gates": dead_gates,
        "afterpulse": afterpulse,
        "afterpulse_gates": afterpulse_gates,
    }
    settings = load(config, {"state": {"dir": state}, "link": physics})
    folder = run_dir or settings.state.dir / "link"
    light = link_config(settings.link)
    keep_freed_memory()

    async def serve() -> None:
        async with LinkService(folder, light, lab=lab, eve=attack, seed=seed) as service:
            stopped = asyncio.create_task(until_stopped(with_parent=with_parent))
            await asyncio.sleep(0)  # Signals are minded before anybody is told that we run.
            sockets = [str(path) for path in service.socket_paths]
            output.emit({"ready": True, "service": "link", "sockets": sockets, "lab": lab})
            await stopped

    asyncio.run(serve())
