"""`bellwire network identity`: who this site is to the others."""

from bellwire.cli import output
from bellwire.cli.network.options import SiteOption, network_settings
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    site: SiteOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Print this site's identity, for the topology file; it is made if there is none."""
    from bellwire.cli.network.options import socket_of
    from bellwire.crypto.signatures import ALGORITHM, fingerprint
    from bellwire.node.identity import PUBLIC_FILE, load_or_create_identity

    settings = network_settings(state, config, site)
    folder = socket_of(settings).parent
    key = load_or_create_identity(folder)
    document = {
        "site": settings.network.site,
        "identity": fingerprint(key.public_bytes).hex(),
        "algorithm": ALGORITHM,
        "public_key": folder / PUBLIC_FILE,
    }
    if json:
        output.emit(document)
    else:
        output.stdout().print(document["identity"], soft_wrap=True)
