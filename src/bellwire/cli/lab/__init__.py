"""`bellwire lab`: experiments in one process, with a seed and an Eve of one's choice.

The same link and the same two sessions as the nodes', only here both sides are in one process.
What is distilled here is for study and enters no pool.

A verb is a module here with a function `command`, and a line below. Like every command, it imports
what it needs only when it runs.
"""

import typer

from bellwire.cli.lab import (
    align,
    bounds,
    circuit,
    compare,
    des,
    follow,
    overhear,
    power,
    repeater,
    reproduce,
    run,
    step,
    sweep,
    tags,
)

app = typer.Typer(
    no_args_is_help=True, help="Experiments with light, Eve and two sides in one process."
)


@app.callback()
def _group() -> None:
    """Experiments with light, Eve and two sides in one process."""


app.command("run")(run.command)
app.command("sweep")(sweep.command)
app.command("step")(step.command)
app.command("follow")(follow.command)
app.command("compare")(compare.command)
app.command("des")(des.command)
app.command("power")(power.command)
app.command("bounds")(bounds.command)
app.command("repeater")(repeater.command)
app.command("reproduce")(reproduce.command)
app.command("circuit")(circuit.command)
app.command("tags")(tags.command)
app.command("align")(align.command)
app.command("overhear")(overhear.command)
