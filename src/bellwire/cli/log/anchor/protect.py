"""`bellwire log anchor protect`: how an account's private key rests."""

from bellwire.cli.log.anchor.options import ChainOption, place
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, ToOption


def command(
    chain: ChainOption,
    to: ToOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Wrap an account's private key under another key, or say how it rests."""
    from bellwire.cli.protection import protect
    from bellwire.ledger.anchors.chain import check_chain
    from bellwire.node.anchors import CHAIN_KEYS, kind_of

    settings, folder = place(state, config)
    wrapped = CHAIN_KEYS[kind_of(check_chain(chain))]
    protect(settings, folder, wrapped, key_protection, to, json=json)
