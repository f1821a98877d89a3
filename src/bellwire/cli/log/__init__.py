"""`bellwire log`: what a transparency log says, checked here and not believed.

A verb is a module here with a function `command`, and a line below.
"""

import typer

from bellwire.cli.log import anchor, entries, export, receipt, verify, watch

app = typer.Typer(no_args_is_help=True, help="Check what a transparency log says.")


@app.callback()
def _group() -> None:
    """Check what a transparency log says."""


app.command("verify")(verify.command)
app.command("entries")(entries.command)
app.command("receipt")(receipt.command)
app.command("watch")(watch.command)
app.command("export")(export.command)
app.add_typer(anchor.app, name="anchor")
