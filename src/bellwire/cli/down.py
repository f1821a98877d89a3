"""`bellwire down`: stop what `bellwire up` started."""

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(json: JsonFlag = False, state: StateOption = None, config: ConfigOption = None) -> None:
    """Stop all services of this state folder that `bellwire up` minds, and wait until they are."""
    import asyncio

    from bellwire.node.settings import load
    from bellwire.services.control import stop
    from bellwire.services.overview import by_hand
    from bellwire.services.place import place_of

    folder = load(config, {"state": {"dir": state}}).state.dir
    ran = asyncio.run(stop(place_of(folder)))
    stopped = [each.name for each in ran.services if each.pid is not None] if ran else []
    left = [each["name"] for each in by_hand(folder)]
    if json:
        pid = None if ran is None else ran.pid
        output.emit({"supervisor": pid, "stopped": stopped, "left": left})
        return
    out = output.stdout()
    if ran is None:
        out.print(f"No `bellwire up` is at work in {folder}.")
    else:
        out.print(f"Stopped: {', '.join(stopped) or 'nothing, as nothing ran yet'}.")
    if left:
        out.print(f"Left alone, as `bellwire up` did not start it: {', '.join(left)}.")
