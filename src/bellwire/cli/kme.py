"""`bellwire kme`: one more process of a site's KME, on the node's PostgreSQL server."""

import asyncio
from typing import Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import parse_address
from bellwire.cli.options import ConfigOption, StateOption, WithParentFlag


def command(
    site: Annotated[
        str | None, typer.Option(metavar="a|b", help="Whose KME: a is Alice's, b is Bob's.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where keys are served over HTTPS.")
    ] = None,
    with_parent: WithParentFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve keys of a site's pool beside its node; both use one PostgreSQL server."""
    from bellwire.cli.node import loop_factory
    from bellwire.node import logs
    from bellwire.node.assemble import SITES
    from bellwire.node.further import FurtherOptions, run_further
    from bellwire.node.settings import load

    if site not in SITES:
        raise UsageError("expected --site a or --site b")
    if listen is None:
        raise UsageError("expected --listen HOST:PORT, got none")
    settings = load(config, {"state": {"dir": state}})
    logs.setup(settings.log.level, settings.log.format)
    options = FurtherOptions(site=site, listen=parse_address(listen), with_parent=with_parent)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run_further(settings, options, output.emit))
