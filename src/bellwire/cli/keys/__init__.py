"""`bellwire keys`: the keys that a site keeps, and what protects them."""

import typer

from bellwire.cli.keys import kek

app = typer.Typer(no_args_is_help=True, help="Keys of a site, and what protects them.")
app.add_typer(kek.app, name="kek")


@app.callback()
def _group() -> None:
    """Keys of a site, and what protects them."""
