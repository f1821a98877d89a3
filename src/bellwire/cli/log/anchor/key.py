"""`bellwire log anchor key`: the account in whose name anchors are sent."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.log.anchor.options import ChainOption, place
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, protection_of


def command(
    chain: ChainOption,
    source: Annotated[
        Path | None,
        typer.Option(
            "--import",
            metavar="FILE",
            help="Take over the private key in this file of yours: hexadecimal, or Hive's 5….",
        ),
    ] = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the account of an EVM chain, or the public key for Hive; make it the first time.

    An EVM account needs means to pay from. On Hive, add the public key to an account's posting
    authority.
    """
    from bellwire.ledger.anchors.chain import check_chain
    from bellwire.node.anchors import import_key, key_of, public

    name = check_chain(chain)
    settings, folder = place(state, config)
    protection = protection_of(settings, key_protection, folder)
    if source is not None:
        import_key(folder, name, source, protection)
    shown = public(name, key_of(folder, name, protection, fresh=True))
    if json:
        output.emit({"chain": name, "public": shown})
    else:
        output.stdout().print(shown, highlight=False)
