"""`bellwire demo`: the whole story, unattended."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, SeedOption, StateOption

_MARKS = {"note": ("·", "dim"), "good": ("✓", "green"), "bad": ("!", "red")}


def command(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Readings for the device to send: CSV or JSON lines. Default: live readings.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="timetags:DIR",
            help="Take the light from recordings DIR/a and DIR/b, without Eve. Default: simulated.",
        ),
    ] = None,
    report: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")] = Path(
        "report"
    ),
    json: JsonFlag = False,
    seed: SeedOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> int:
    """Photons to a decrypted message, Eve on the fibre and gone again; leaves a report."""
    import asyncio

    from rich.table import Table
    from rich.text import Text

    from bellwire.demo.recordings import Recordings
    from bellwire.demo.run import DemoOptions, run_demo
    from bellwire.demo.workplace import check_report_folder
    from bellwire.iot.readings import read_readings
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    if data is not None:
        read_readings(data)
    recordings = None if source is None else Recordings.load(source)
    check_report_folder(report)
    told = output.stderr()

    def say(mark: str, sentence: str) -> None:
        sign, style = _MARKS[mark]
        if not told.is_terminal:
            told.print(f"{sign} {sentence}")
            return
        line = Table.grid(padding=(0, 1))  # Long sentences wrap beside the sign, not below it.
        line.add_row(Text(sign, style), Text(sentence))
        told.print(line)

    options = DemoOptions(data, report, seed, settings, config, recordings)
    story = asyncio.run(run_demo(options, say))
    if json:
        output.emit(story.to_dict())
    else:
        from bellwire.demo.summary import print_summary

        print_summary(story, output.stdout())
    return 0 if story.succeeded else 1
