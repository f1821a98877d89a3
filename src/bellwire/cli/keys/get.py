"""`bellwire keys get`: new keys to share with another SAE."""

from typing import Annotated

import typer

from bellwire.cli.keys.delivered import OutOption, check_out, deliver
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
        str | None, typer.Option(metavar="SLAVE", help="The SAE that gets the same keys.")
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    number: Annotated[int, typer.Option(metavar="N", help="How many keys.")] = 1,
    size: Annotated[
        int | None,
        typer.Option(metavar="BITS", help="Bits of each. Default: as the key server says."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="SLAVE", help="A further SAE that gets them; may be repeated."),
    ] = None,
    out: OutOption = None,
    profile: ProfileOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Get new keys from a key server; the other SAE fetches the same ones by their ids."""
    from bellwire.etsi014.exchange import Extras

    check_out(out)
    with connected(Asked(kme, cert, key, ca, sae, profile, state, config)) as (client, slave):
        keys = client.get_keys(slave, number, size, Extras(also or ()))
    deliver(keys, out, as_json=json)
