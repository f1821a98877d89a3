"""`bellwire lab overhear`: what a passive Eve hears of sessions, at a node of the lab."""

from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.node.operator import OperatorClient
    from bellwire.node.overheard import Message

EVERY_S = 0.2


def command(
    site: Annotated[str, typer.Option(metavar="a|b", help="At which node.")] = "a",
    after: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only what came after message N.")
    ] = 0,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")
    ] = False,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what crossed the public channel of sessions: all that a passive Eve has, and no key."""
    import asyncio

    from bellwire.node.assemble import SITES, node_folder
    from bellwire.node.operator import OperatorClient
    from bellwire.node.settings import load

    if site not in SITES:
        raise UsageError("expected --site a or --site b")
    if json and follow:
        raise UsageError("--json gives one document: expected it without --follow")
    folder = node_folder(load(config, {"state": {"dir": state}}).state.dir, site)
    client = OperatorClient(folder / "operator.sock")
    if not json:
        asyncio.run(_tell(client, after, follow=follow))
        return
    heard = asyncio.run(client.overheard(after))
    output.emit({"site": site, "messages": [_plain(each) for each in heard]})


async def _tell(client: "OperatorClient", after: int, *, follow: bool) -> None:
    import asyncio

    console = output.stdout()
    while True:
        for each in await client.overheard(after):
            after = each.number
            console.print(
                f"{each.number:>6}  {each.session[:8]}  {each.sender:<5}  {each.step:>3}  "
                f"{each.phase:<14}  {each.size:>7} bytes  {each.beginning[:16].hex()}",
                highlight=False,
                soft_wrap=True,
            )
        if not follow:
            return
        await asyncio.sleep(EVERY_S)


def _plain(message: "Message") -> dict[str, object]:
    return {
        "number": message.number,
        "session": message.session,
        "sender": message.sender.value,
        "step": message.step,
        "phase": message.phase,
        "bytes": message.size,
        "beginning": message.beginning.hex(),
    }
