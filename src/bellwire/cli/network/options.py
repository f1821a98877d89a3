"""Options of `bellwire network`, and the settings that they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bellwire.node.settings import Settings

SiteOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="This site. Default: network.site of the settings."),
]
TopologyOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The topology file. Default: network.topology of the settings."
    ),
]
NodeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SITE=DIR",
        help="Folder of the node of the link to another site; once for each link. Default: "
        "network.nodes of the settings.",
    ),
]


def network_settings(
    state: Path | None,
    config: Path | None,
    site: str | None = None,
    topology: Path | None = None,
    **more: object,
) -> "Settings":
    """The settings, with what the command line says of the network.

    Raises:
        ConfigError: they cannot be used.
    """
    from bellwire.node.settings import load

    return load(
        config,
        {"state": {"dir": state}, "network": {"site": site, "topology": topology, **more}},
    )


def node_folders(given: list[str] | None) -> dict[str, str] | None:
    """SITE=DIR, as often as it was given.

    Raises:
        UsageError: it is something else.
    """
    from bellwire.base.errors import UsageError

    if not given:
        return None
    folders = {}
    for each in given:
        site, equals, folder = each.partition("=")
        if not (site and equals and folder):
            raise UsageError(f"--node: expected SITE=DIR, got '{each:.200}'")
        folders[site] = folder
    return folders


def socket_of(settings: "Settings") -> Path:
    """Where this site's network process answers operators.

    Raises:
        ConfigError: no site is named.
    """
    from bellwire.node.errors import ConfigError
    from bellwire.node.network.place import SOCKET, network_folder

    site = settings.network.site
    if not site:
        raise ConfigError(("network.site: expected a value, got none",))
    return network_folder(settings.state.dir, site) / SOCKET
