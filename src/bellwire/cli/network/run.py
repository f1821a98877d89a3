"""`bellwire network run`: this site's relay and KME in a network."""

from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.network.options import (
    NodeOption,
    SiteOption,
    TopologyOption,
    network_settings,
    node_folders,
)
from bellwire.cli.options import ConfigOption, StateOption, WithParentFlag


def command(
    site: SiteOption = None,
    topology: TopologyOption = None,
    node: NodeOption = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where to listen for other sites. Default: network.listen, or the topology's.",
        ),
    ] = None,
    kme: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT|off",
            help="Where keys are served by ETSI 014. Default: network.kme of the settings.",
        ),
    ] = None,
    bus: Annotated[
        str | None,
        typer.Option(
            metavar="tcp|URL",
            help="How sites talk: tcp, or a NATS server, nats://HOST:PORT. Default: network.bus.",
        ),
    ] = None,
    with_parent: WithParentFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Run this site's part in a network: carry keys for others, and serve its own SAEs."""
    import asyncio

    import uvloop

    from bellwire.node import logs
    from bellwire.node.network.assemble import run_network

    settings = network_settings(
        state,
        config,
        site,
        topology,
        nodes=node_folders(node),
        listen=listen,
        kme=kme,
        bus=bus,
    )
    logs.setup(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_network(settings, output.emit, with_parent=with_parent))
