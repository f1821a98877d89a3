"""`bellwire cloud send` and `routes`: messages to devices, and where each of them is."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.iot.gateway.queue import MessageQueue
    from bellwire.iot.gateway.record import Route

LOOK_S = 0.05


def send(
    device: Annotated[
        str, typer.Argument(metavar="DEVICE", help="Name, or 8 or more digits of a fingerprint.")
    ],
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="The message.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The message is this file; -: standard input."),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line of the data is a message.")
    ] = False,
    expires: Annotated[
        float, typer.Option(metavar="S", help="Seconds that it may wait for the device.")
    ] = 7 * 86_400.0,
    wait: Annotated[
        float,
        typer.Option(metavar="S", min=0, max=3600, help="Seconds to wait for its delivery."),
    ] = 0.0,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Queue a message for a device; it goes out when the device is here, whether it is now or not.

    The cloud of this state folder brings it over, in order and once, when it runs.
    """
    from bellwire.iot.gateway.devices import find_device
    from bellwire.iot.gateway.queue import MessageQueue
    from bellwire.node.settings import load

    if (text is None) == (data is None):
        raise UsageError("expected either --text TEXT or --data FILE")
    if lines and data is None:
        raise UsageError("expected --lines beside --data FILE alone")
    folder = load(config, {"state": {"dir": state}}).state.dir / "cloud"
    found, name = find_device(folder, device)
    content = text.encode() if text is not None else _read(data or Path("-"))
    messages = content.splitlines() if lines else [content]
    if not messages:
        raise UsageError("expected a message in each line, got none")
    with MessageQueue(folder) as queue:
        posted = _wait(queue, queue.post(found, name, messages, expires), wait)
    if json:
        output.emit({"device": found.hex(), "name": name, "messages": [_row(r) for r in posted]})
        return
    for each in posted:
        output.stdout().print(_line(each))


def routes(
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Of this device alone; as for `send`.")
    ] = None,
    last: Annotated[
        int, typer.Option(metavar="N", min=1, max=200_000, help="The newest N records.")
    ] = 1000,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show where each message to a device is, and what waits for which device."""
    from bellwire.iot.gateway.devices import find_device
    from bellwire.iot.gateway.queue import MessageQueue
    from bellwire.node.settings import load

    folder = load(config, {"state": {"dir": state}}).state.dir / "cloud"
    only = None if device is None else find_device(folder, device)[0]
    with MessageQueue(folder) as queue:
        found = queue.routes(only, most=last)
        waiting = [each for each in queue.queues() if only in {None, each.device}]
    if json:
        output.emit(
            {
                "routes": [_row(each) for each in found],
                "queues": [
                    {
                        "device": each.device.hex(),
                        "name": each.name,
                        "messages": each.messages,
                        "bytes": each.bytes,
                    }
                    for each in waiting
                ],
            }
        )
        return
    console = output.stdout()
    for route in found:
        console.print(_line(route))
    for each in waiting:
        console.print(
            f"{each.messages:,} messages of {each.bytes:,} bytes wait for {each.name!r}.",
        )


def _read(path: Path) -> bytes:
    """What is to be sent: no more than could be."""
    import sys

    from bellwire.iot.gateway.queue import MAX_WAITING_BYTES

    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(MAX_WAITING_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_WAITING_BYTES + 1)
    except OSError as error:
        raise UsageError(f"expected data to send in {path}, got: {error.strerror}") from error
    if len(content) > MAX_WAITING_BYTES:
        raise UsageError(f"expected at most {MAX_WAITING_BYTES:,} bytes of data, got more")
    return content


def _wait(queue: "MessageQueue", posted: "list[Route]", within_s: float) -> "list[Route]":
    """The records once none of them is QUEUED, or at the end of the time."""
    until = time.monotonic() + within_s
    now = posted
    while any(each.state == "QUEUED" for each in now) and time.monotonic() < until:
        time.sleep(LOOK_S)
        now = [queue.route(each.id) or each for each in posted]
    return now


def _row(route: "Route") -> dict[str, object]:
    return {
        "id": route.id.hex(),
        "device": route.device.hex(),
        "name": route.name,
        "number": route.number,
        "size": route.size,
        "state": route.state,
        "queued": route.queued,
        "expires": route.expires,
        "finished": route.finished,
        "protections": list(route.protections),
    }


def _line(route: "Route") -> str:
    under = f" under {', '.join(route.protections)}" if route.protections else ""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(route.queued))
    return (
        f"{route.id.hex()}  {route.state:9} {when}Z  to {route.name!r}: {route.size:,} bytes{under}"
    )
