"""`bellwire keys kek`: the key-encryption key of a node's store, shown and rotated."""

from typing import Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

app = typer.Typer(no_args_is_help=True, help="The key-encryption key of a node's store.")

SiteOption = Annotated[
    str | None, typer.Option("--site", metavar="a|b", help="Whose node: a is Alice's, b is Bob's.")
]


@app.command()
def show(
    site: SiteOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Say how the key of a node's store is wrapped; asks for no secret."""
    from bellwire.node.assemble import SITES, node_folder
    from bellwire.node.kek import show_kek
    from bellwire.node.settings import load

    if site not in SITES:
        raise UsageError("expected --site a or --site b")
    settings = load(config, {"state": {"dir": state}})
    shown = show_kek(node_folder(settings.state.dir, site))
    if json:
        output.emit({"site": site, "setting": settings.kek.source, **shown})
        return
    out = output.stdout()
    if shown["source"] is None:
        out.print("data key: bare, as an earlier version left it; the next start wraps it")
        return
    out.print(f"data key: wrapped by {shown['source']}", _words(shown["key"]))
    if shown["argon2id"] is not None:
        out.print("Argon2id:", _words(shown["argon2id"]))
    if shown["replaces"] is not None:
        out.print("replaced, not yet destroyed:", _words(shown["replaces"]))
    out.print("kek.source:", settings.kek.source)


@app.command()
def rotate(
    site: SiteOption = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="SOURCE",
            help="Where the new key comes from: file[:FOLDER], passphrase[:FILE], keyring or "
            "pkcs11:URI. Default: kek.source, as the present one.",
        ),
    ] = None,
    state: StateOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Wrap the key of a node's store under a new key-encryption key; the node must be stopped."""
    from bellwire.node.assemble import SITES, node_folder
    from bellwire.node.audit import record
    from bellwire.node.kek import rotate_kek
    from bellwire.node.settings import load

    if site not in SITES:
        raise UsageError("expected --site a or --site b")
    settings = load(config, {"state": {"dir": state}})
    done = rotate_kek(settings, node_folder(settings.state.dir, site), SITES[site], to)
    record(settings, site, "key-encryption key rotated", **done)
    if json:
        output.emit({"site": site, **done})
        return
    out = output.stdout()
    out.print("the key of the store is wrapped under a new key-encryption key")
    if done["destroyed"] is not None:
        out.print("destroyed:", _words(done["destroyed"]))
    if done["source"] != settings.kek.source:
        out.print("from now on, set kek.source to:", done["source"])


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return str(value)
