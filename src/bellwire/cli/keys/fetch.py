"""`bellwire keys fetch`: the keys that another SAE got, by their ids."""

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
    key_ids: Annotated[list[str], typer.Argument(metavar="KEY_ID...", help="Ids of the keys.")],
    kme: KmeOption = None,
    sae: Annotated[
        str | None, typer.Option(metavar="MASTER", help="The SAE that got the keys.")
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    out: OutOption = None,
    profile: ProfileOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Fetch keys by their ids, all or none; each can be fetched once."""
    check_out(out)
    with connected(Asked(kme, cert, key, ca, sae, profile, state, config)) as (client, master):
        keys = client.get_keys_with_ids(master, key_ids)
    deliver(keys, out, as_json=json)
