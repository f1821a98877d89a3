"""`bellwire log watch`: whether a log is still what it was, and the same to everybody."""

import hashlib
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UnreachableError, UsageError
from bellwire.cli import output
from bellwire.cli.log.place import CaOption, LogArgument
from bellwire.cli.log.trust import (
    KeyOption,
    PolicyOption,
    QuorumOption,
    WitnessOption,
    read,
    trusted,
)
from bellwire.cli.options import JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.ledger.monitor import Finding, Holder, Monitor
    from bellwire.ledger.note import Note
    from bellwire.ledger.policy import Policy, TrustedCheckpoint
    from bellwire.ledger.reading import LogReader

PATIENCE = 3
"""Rounds in which the log may be behind what was seen elsewhere: a mirror is late."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def command(
    log: LogArgument,
    key: KeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    own: Annotated[
        list[str] | None,
        typer.Option(
            "--own",
            metavar="HANDLE[=SHA256,…]",
            help="Your handle, and the digests of your public keys; again for more.",
        ),
    ] = None,
    known: Annotated[
        bool,
        typer.Option(
            "--known", help="Look after everybody, too, whom `bellwire people find` remembers."
        ),
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            metavar="LOG",
            help="Compare with the checkpoint that is seen there; again for more.",
        ),
    ] = None,
    every: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=86_400, help="Look so often.")
    ] = 10.0,
    again: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=10_000_000, help="Read so many old entries again at each look."
        ),
    ] = 65_536,
    silent: Annotated[
        float,
        typer.Option(
            metavar="S", min=0, help="End with 4 once the log did not answer for so long."
        ),
    ] = 3600.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    ca: CaOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
) -> None:
    """Read and hash every entry of a log, and go on as it grows; end with 3 if anything is wrong.

    What was read is read again, piece by piece. Entries that were altered are named. The last
    checkpoint is kept in the state folder: a log that does not grow out of it, or out of one that
    is seen elsewhere, shows two histories.
    """
    import time

    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.monitor import Monitor, require_none
    from bellwire.ledger.reading import LogReader
    from bellwire.node.settings import load

    trust = trusted(key, witness, quorum, policy)
    home = load(None, {"state": {"dir": state}}).state.dir
    holders = [*map(_owned, own or ()), *(_known(home, trust) if known else ())]
    folder, places = home / "log-watch", tuple(also or ())
    with fetching(log, ca) as fetch:
        reader = LogReader(fetch)
        monitor = Monitor(reader, holders)
        look = partial(_look, reader, monitor, trust, folder, places, ca)
        shown = look(patience=0 if once else PATIENCE)
        answered = time.monotonic()
        while not once and not monitor.findings:
            size = shown.checkpoint.size
            output.stderr().print(f"{size:,} entries are as signed")
            time.sleep(every)
            try:
                shown = look(patience=PATIENCE)
                if not monitor.findings and again:
                    monitor.read_again(shown.checkpoint, again)
                answered = time.monotonic()
            except UnreachableError as error:  # it may come back; what it shows then is compared
                if time.monotonic() - answered >= silent:
                    raise
                output.stderr().print(str(error))
    _tell(shown, monitor.findings, as_json=json)
    require_none(shown.checkpoint, monitor.findings)


def _look(
    reader: "LogReader",
    monitor: "Monitor",
    trust: "Policy",
    folder: Path,
    also: tuple[str, ...],
    ca: Path | None,
    patience: int,
) -> "TrustedCheckpoint":
    """One round: follow the log, compare with what was seen before and elsewhere, remember."""
    from bellwire.base.private import own_folder, read_own_file, write_whole
    from bellwire.ledger.note import MAX_NOTE_BYTES, parse_note
    from bellwire.ledger.policy import verify_checkpoint

    # Elsewhere first: what is there by then, an honest log shows us as well.
    others = [(place, note) for place in also if (note := _elsewhere(place, ca)) is not None]
    note = reader.note()
    shown = verify_checkpoint(note, trust)
    path = own_folder(folder) / f"{hashlib.sha256(shown.checkpoint.origin.encode()).hexdigest()}"
    kept = read_own_file(path, MAX_NOTE_BYTES)
    if kept is not None:
        others.append(("what was seen before", parse_note(kept)))
    with output.progress("reading the log"):
        monitor.follow(shown.checkpoint)
    for place, other in others:
        before = len(monitor.findings)
        monitor.compare(shown.checkpoint, verify_checkpoint(other, trust).checkpoint)
        if len(monitor.findings) > before:
            evidence = path.with_suffix(".split")
            write_whole(evidence, note.encode() + b"\n" + other.encode(), replace=True)
            output.stderr().print(f"{place}: both checkpoints are in {evidence}")
    monitor.overdue(shown.checkpoint, patience)
    if not monitor.findings:
        write_whole(path, note.encode(), replace=True)
    return shown


def _elsewhere(place: str, ca: Path | None) -> "Note | None":
    """What is seen in another place; None, which is said, if nothing can be read there now."""
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.note import MAX_NOTE_BYTES, parse_note
    from bellwire.ledger.reading import LogReader

    if Path(place).is_file():
        return parse_note(read(Path(place), MAX_NOTE_BYTES))
    try:
        with fetching(place, ca) as fetch:
            return LogReader(fetch).note()
    except UnreachableError as error:
        output.stderr().print(f"not compared: {error}")
        return None


def _owned(text: str) -> "Holder":
    from bellwire.base.handles import canonical
    from bellwire.ledger.monitor import Holder

    name, _, digests = text.partition("=")
    keys = digests.split(",") if digests else []
    for each in keys:
        if not _DIGEST.fullmatch(each):
            raise UsageError(
                f"--own: expected SHA-256 in 64 digits 0-9 and a-f of each key, got {each[:70]!r}"
            )
    return Holder(canonical(name), frozenset(keys))


def _known(home: Path, trust: "Policy") -> "list[Holder]":
    """Whom `people find` has found in these logs; what it read then is not looked at again."""
    from bellwire.ledger.monitor import Holder
    from bellwire.ledger.pins import Pins

    pins = Pins(home / "people")
    found = [pin for origin in sorted({key.name for key in trust.logs}) for pin in pins.all(origin)]
    if not found:
        raise UsageError(
            "--known: expected somebody whom bellwire people find remembers, got nobody"
        )
    return [
        Holder(pin.handle, frozenset(pin.digests.values()), since=pin.size, ours=False)
        for pin in found
    ]


def _tell(shown: "TrustedCheckpoint", findings: "list[Finding]", *, as_json: bool) -> None:
    checkpoint = shown.checkpoint
    if as_json:
        output.emit(
            {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
                "witnesses": [each.name for each in shown.witnesses],
                "findings": [
                    {"what": each.what, "said": each.said, "number": each.number}
                    for each in findings
                ],
            }
        )
        return
    told = output.stdout()
    for each in findings:
        said = each.said.removeprefix(f"{each.what}: ")
        at = f"entry {each.number}"
        where = "" if each.number is None or at in said else f" ({at})"
        told.print(f"{each.what}: {said}{where}", highlight=False, soft_wrap=True)
    if not findings:
        names = ", ".join(each.name for each in shown.witnesses) or "no witness"
        told.print(
            f"{checkpoint.origin}: {checkpoint.size:,} entries are as signed, cosigned by {names}",
            highlight=False,
        )
