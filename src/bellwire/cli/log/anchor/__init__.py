"""`bellwire log anchor`: a log's checkpoints on public chains.

A verb is a module here with a function `command`, and a line below.
"""

import typer

from bellwire.cli.log.anchor import key, listing, protect, verify, write

app = typer.Typer(no_args_is_help=True, help="Anchor checkpoints on public chains.")


@app.callback()
def _group() -> None:
    """Anchor checkpoints on public chains."""


app.command("write")(write.command)
app.command("list")(listing.command)
app.command("verify")(verify.command)
app.command("key")(key.command)
app.command("protect")(protect.command)
