"""`bellwire keys follow`: a new key whenever the old one ends, at both ends in step."""

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.keys.options import (
    Asked,
    CaOption,
    CertOption,
    KeyOption,
    KmeOption,
    ProfileOption,
    both_ends,
)
from bellwire.cli.options import ConfigOption, StateOption

if TYPE_CHECKING:
    from bellwire.etsi014.client import AsyncClient
    from bellwire.etsi014.errors import Etsi014Error
    from bellwire.etsi014.exchange import Key
    from bellwire.etsi014.refresh import RefreshRules

PATIENCE_S = 86_400.0
"""How long an id waits for its key: as long as key servers keep one."""


def command(
    kme: KmeOption = None,
    sae: Annotated[
        str | None,
        typer.Option(metavar="SAE", help="The other SAE: the slave, or with --fetch the master."),
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Age at which a key is replaced.")
    ] = None,
    uses: Annotated[
        int | None,
        typer.Option(metavar="N", help="Messages after which it is; see standard input."),
    ] = None,
    payload: Annotated[
        int | None,
        typer.Option("--bytes", metavar="N", help="Bytes after which it is; see standard input."),
    ] = None,
    fetch: Annotated[
        bool,
        typer.Option("--fetch", help="The other end: fetch the keys whose ids are read."),
    ] = False,
    size: Annotated[int, typer.Option(metavar="BITS", help="Bits of each key.")] = 256,
    number: Annotated[
        int | None, typer.Option(metavar="N", help="End after so many keys. Default: never.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Write each key, base64, in the place of the one before to FILE of mode 0600, "
            "and print its id alone.",
        ),
    ] = None,
    profile: ProfileOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Print id and key, base64, of a new key at once, and of another whenever it ends.

    At the other end, --fetch reads ids from standard input, a line each, and prints id and key of
    each. Without it, with --uses or --bytes, each line of standard input is the number of bytes of
    one message.
    """
    from bellwire.etsi014.refresh import RefreshRules

    limits = {"age_s": every, "uses": uses, "payload_bytes": payload}
    given = {name: value for name, value in limits.items() if value is not None}
    if fetch and given:
        raise UsageError("--fetch takes keys as they come: expected no --every, --uses or --bytes")
    if not fetch and not given:
        raise UsageError("expected --every SECONDS, --uses N or --bytes N, or --fetch")
    if number is not None and number < 1:
        raise UsageError(f"--number: expected 1 or more, got {number}")
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"--out: expected a folder to write to, got {out.absolute().parent}")
    rules = None if fetch else RefreshRules(**given)
    asked = Asked(kme, cert, key, ca, sae, profile, state, config)
    asyncio.run(_run(asked, rules, size, _Shown(out, number)))


class _Shown:
    """Shows keys, and knows when there were enough."""

    def __init__(self, out: Path | None, number: int | None) -> None:
        self._out = out
        self._left = number
        self._said = ""

    def __call__(self, key: "Key") -> bool:
        """Show a key; whether another is wanted."""
        from bellwire.base.private import write_whole

        text = b64encode(key.key.reveal()).decode("ascii")
        if self._out is None:
            line = f"{key.key_id}  {text}\n"
        else:
            write_whole(self._out, f"{text}\n".encode(), replace=True)
            line = f"{key.key_id}\n"
        sys.stdout.write(line)
        sys.stdout.flush()
        self._said = ""
        if self._left is not None:
            self._left -= 1
        return self._left != 0

    def waiting(self, error: "Etsi014Error") -> None:
        """Say once that there is no key for now."""
        if str(error) != self._said:
            self._said = str(error)
            output.stderr().print(f"no key yet, asking again: {error}")


async def _run(asked: Asked, rules: "RefreshRules | None", bits: int, shown: _Shown) -> None:
    from bellwire.etsi014.client import AsyncClient

    kme, credentials, peer = both_ends(asked)
    async with AsyncClient(kme, credentials) as client:
        if rules is None:
            await _fetch(client, peer, shown)
        else:
            await _draw(client, peer, rules, bits, shown)


async def _draw(
    client: "AsyncClient", slave: str, rules: "RefreshRules", bits: int, shown: _Shown
) -> None:
    import math

    from bellwire.etsi014.refresh import Master

    async with Master(client, slave, rules, bits=bits, waiting=shown.waiting) as master:
        counted = min(rules.uses, rules.payload_bytes) < math.inf
        following = asyncio.create_task(_follow(master.follow(), shown))
        work: set[asyncio.Task[None]] = {following}
        if counted:

            async def count() -> None:
                async with aclosing(_lines()) as lines:
                    async for line in lines:
                        await master.key(_bytes(line))

            work.add(asyncio.create_task(count()))
        try:
            while following in work:
                done, work = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
                if following in work and rules.age_s == math.inf:
                    return  # standard input has ended, and nothing else ends a key
        finally:
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)


async def _follow(keys: "AsyncGenerator[Key, None]", shown: _Shown) -> None:
    async with aclosing(keys):
        async for key in keys:
            if not shown(key):
                return


async def _fetch(client: "AsyncClient", master: str, shown: _Shown) -> None:
    from bellwire.etsi014.errors import KmeRejected, KmeUnreachable
    from bellwire.etsi014.refresh import Slave

    slave = Slave(client, master, remembered=1, patience_s=PATIENCE_S, waiting=shown.waiting)
    async with aclosing(_lines()) as lines:
        async for line in lines:
            try:
                key = await slave.key(line)
            except (KmeRejected, KmeUnreachable) as error:
                # It is lost, and the next one need not be.
                output.stderr().print(f"{line[:80]}: {error}")
            else:
                if not shown(key):
                    return


def _bytes(line: str) -> int:
    if not line.isascii() or not line.isdecimal() or len(line) > 18:
        raise UsageError(
            f"expected the number of bytes of a message on standard input, got {line[:40]!r}"
        )
    return int(line)


async def _lines() -> AsyncGenerator[str, None]:
    """Lines of standard input that are not empty."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    try:
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
    except (ValueError, PermissionError):  # a file: it never makes us wait
        for text in sys.stdin:
            if text.strip():
                yield text.strip()
        return
    try:
        while True:
            try:
                line = await reader.readline()
            except ValueError as error:
                raise UsageError(
                    "expected short lines on standard input, got a long one"
                ) from error
            if not line:
                return
            if line.strip():
                yield line.strip().decode("utf-8", "replace")
    finally:
        transport.close()
