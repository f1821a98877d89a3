"""`bellwire lab des`: a DES key is broken, and AES-256 beside it is not."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.des import Broken


def command(
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What to encrypt. Default: a reading of this machine."),
    ] = None,
    unknown: Annotated[
        int, typer.Option(metavar="BITS", help="Bits of the DES key to search for, 8 to 32.")
    ] = 24,
    machines: Annotated[
        int, typer.Option(metavar="N", help="Machines like this one to reckon for.")
    ] = 10_000,
    json: JsonFlag = False,
) -> None:
    """Why not DES: break a part of its key here, and reckon what all of it takes; lab only."""
    from bellwire.lab.des import demonstrate

    content = _reading() if data is None else _content(data)
    with output.progress("searching the DES key", total=2.0**unknown, unit="keys") as meter:
        broken = demonstrate(content, unknown=unknown, machines=machines, progress=meter.advance)
    if json:
        output.emit(broken.to_dict())
    else:
        _tell(broken)


def _reading() -> bytes:
    load = os.getloadavg()[0]
    return f'{{"time": {time.time():.3f}, "load": {load:.2f}}}'.encode()


def _content(path: Path) -> bytes:
    from bellwire.lab.des import MAX_DATA
    from bellwire.lab.errors import FileUnusable

    try:
        with path.open("rb") as file:
            content = file.read(MAX_DATA + 1)
    except OSError as error:
        raise FileUnusable(path, "to read", error.strerror or str(error)) from error
    if len(content) > MAX_DATA:
        raise UsageError(f"expected at most {MAX_DATA} bytes in {path}, got more")
    return content


def _tell(broken: "Broken") -> None:
    from rich import box
    from rich.table import Table

    table = Table(
        title="Why not DES (a demonstration; bellwire encrypts with AES-256-GCM)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    for title in ("", "DES", "AES-256"):
        table.add_column(title, style=None if title else "bold")
    table.add_row("ciphertext begins", broken.des_sealed, broken.aes_sealed)
    table.add_row("key", "56 bits", "256 bits")
    aes_rate = broken.aes_keys_per_s * broken.cores
    table.add_row("keys/s here", f"{broken.keys_per_s:,.0f}", f"{aes_rate:,.0f}")
    table.add_row("all keys, here", _time(broken.des_s), _years(broken.aes_years))
    table.add_row(
        f"on {broken.machines:,} machines",
        _time(broken.des_machines_s),
        _years(broken.aes_machines_years),
    )
    output.stdout().print(table)
    ended = "and it gave the whole text back" if broken.recovered else "and the key was not found"
    output.stdout().print(
        f"Searched: {broken.unknown_bits} bits of the DES key, {broken.tried:,} keys in "
        f"{broken.search_s:.2f} s on {broken.cores} cores, {ended}. All keys is the worst case; on "
        "average half of them do."
    )


def _time(seconds: float) -> str:
    for unit, size in (("years", 365.25 * 86400), ("days", 86400.0), ("hours", 3600.0)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def _years(years: float) -> str:
    return f"{years:.1e} years"
