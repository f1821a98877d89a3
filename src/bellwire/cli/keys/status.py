"""`bellwire keys status`: what a key server has for us and another SAE."""

from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.keys.options import (
    Asked,
    CaOption,
    CertOption,
    KeyOption,
    KmeOption,
    ProfileOption,
    connected,
)
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    kme: KmeOption = None,
    sae: Annotated[
        str | None, typer.Option(metavar="SLAVE", help="The SAE that we share keys with.")
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    profile: ProfileOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask a key server how many keys there are for us and another SAE, and its limits."""
    from json import dumps

    import msgspec

    from bellwire.etsi014.errors import printable

    with connected(Asked(kme, cert, key, ca, sae, profile, state, config)) as (client, slave):
        found = msgspec.to_builtins(client.status(slave))
    if found["status_extension"] is None:
        del found["status_extension"]
    if json:
        output.emit(found)
        return
    for name, value in found.items():
        shown = printable(value if isinstance(value, str) else dumps(value, ensure_ascii=False))
        output.stdout().print(f"{name:<20} {shown}", soft_wrap=True)
