"""`bellwire network`: a site's part in a network of sites, whose keys go over the links of others.

A verb is a module here with a function `command`, and a line below.
"""

import typer

from bellwire.cli.network import check, forget, identity, route, run, show

app = typer.Typer(
    no_args_is_help=True,
    help="Keys between the sites of a network, carried over the links of others.",
)


@app.callback()
def _group() -> None:
    """Keys between the sites of a network, carried over the links of others."""


app.command("identity")(identity.command)
app.command("check")(check.command)
app.command("run")(run.command)
app.command("show")(show.command)
app.command("route")(route.command)
app.command("forget")(forget.command)
