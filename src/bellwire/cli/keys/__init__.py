"""`bellwire keys`: keys by ETSI GS QKD 014, who may have them, and what protects them at rest.

A verb is a module here with a function `command`, and a line below; `ca` and `kek` are groups.
"""

import typer

from bellwire.cli.keys import (
    backup,
    ca,
    fence,
    fetch,
    follow,
    get,
    kek,
    reload,
    restore,
    session,
    status,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Keys by ETSI 014, who may have them, and what protects them at rest.",
)


@app.callback()
def _group() -> None:
    """Keys by ETSI 014, who may have them, and what protects them at rest."""


app.command("status")(status.command)
app.command("get")(get.command)
app.command("fetch")(fetch.command)
app.command("session")(session.command)
app.command("follow")(follow.command)
app.command("backup")(backup.command)
app.command("restore")(restore.command)
app.command("fence")(fence.command)
app.command("reload")(reload.command)
app.add_typer(ca.app, name="ca")
app.add_typer(kek.app, name="kek")
