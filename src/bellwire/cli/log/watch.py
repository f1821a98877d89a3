"""`bellwire log watch`: whether a log is still what it was, and the same to everybody."""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import RefusedError, UnreachableError, UsageError
from bellwire.cli import output
from bellwire.cli.log.place import CaOption, LogArgument, fetching
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
    from bellwire.ledger.monitor import Finding, Monitor
    from bellwire.ledger.note import Note
    from bellwire.ledger.policy import Policy, TrustedCheckpoint
    from bellwire.ledger.reading import LogReader

_DIGEST = re.compile(r"[0-9a-f]{64}")


class LogAltered(RefusedError):
    """A log is not what it signed, shows itself differently, or has what its watcher refuses."""


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
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    ca: CaOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
) -> None:
    """Read and hash every entry of a log, and go on as it grows; end with 3 if anything is wrong.

    Entries that were altered are named. The last checkpoint is kept in the state folder: a log that
    does not grow out of it, or out of one that is seen elsewhere, shows two histories.
    """
    import time

    from bellwire.ledger.monitor import Monitor
    from bellwire.ledger.reading import LogReader
    from bellwire.node.settings import load

    trust = trusted(key, witness, quorum, policy)
    folder = load(None, {"state": {"dir": state}}).state.dir / "log-watch"
    places = tuple(also or ())
    with fetching(log, ca) as fetch:
        reader = LogReader(fetch)
        monitor = Monitor(reader, dict(map(_owned, own or ())))
        shown = _look(reader, monitor, trust, folder, places, ca)
        while not once and not monitor.findings:
            size = shown.checkpoint.size
            output.stderr().print(f"{size:,} entries are as signed", markup=False)
            time.sleep(every)
            try:
                shown = _look(reader, monitor, trust, folder, places, ca)
            except UnreachableError as error:  # it may come back; what it shows then is compared
                output.stderr().print(str(error), markup=False)
    _tell(shown, monitor.findings, as_json=json)
    if monitor.findings:
        raise LogAltered(
            f"expected {shown.checkpoint.origin} as it was signed, got"
            f" {len(monitor.findings)} findings, the first: {monitor.findings[0].said}",
            hint="Keep what was printed, and both checkpoints where there are two.",
        )


def _look(
    reader: "LogReader",
    monitor: "Monitor",
    trust: "Policy",
    folder: Path,
    also: tuple[str, ...],
    ca: Path | None,
) -> "TrustedCheckpoint":
    """One round: follow the log, compare with what was seen before and elsewhere, remember."""
    from bellwire.base.private import own_folder, read_own_file, write_whole
    from bellwire.ledger.note import MAX_NOTE_BYTES, parse_note
    from bellwire.ledger.policy import verify_checkpoint

    note = reader.note()
    shown = verify_checkpoint(note, trust)
    path = own_folder(folder) / f"{hashlib.sha256(shown.checkpoint.origin.encode()).hexdigest()}"
    kept = read_own_file(path, MAX_NOTE_BYTES)
    others = [] if kept is None else [parse_note(kept)]
    others += [_elsewhere(place, ca) for place in also]
    with output.progress("reading the log"):
        monitor.follow(shown.checkpoint)
    for other in others:
        monitor.compare(shown.checkpoint, verify_checkpoint(other, trust).checkpoint)
    if not monitor.findings:
        write_whole(path, note.encode(), replace=True)
    return shown


def _elsewhere(place: str, ca: Path | None) -> "Note":
    from bellwire.ledger.note import MAX_NOTE_BYTES, parse_note
    from bellwire.ledger.reading import LogReader

    if Path(place).is_file():
        return parse_note(read(Path(place), MAX_NOTE_BYTES))
    with fetching(place, ca) as fetch:
        return LogReader(fetch).note()


def _owned(text: str) -> tuple[str, list[str]]:
    from bellwire.base.handles import canonical

    name, _, digests = text.partition("=")
    keys = digests.split(",") if digests else []
    for each in keys:
        if not _DIGEST.fullmatch(each):
            raise UsageError(
                f"--own: expected SHA-256 in 64 digits 0-9 and a-f of each key, got {each[:70]!r}"
            )
    return canonical(name), keys


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
        where = "" if each.number is None else f" (entry {each.number})"
        told.print(f"{each.what}: {each.said}{where}", markup=False, highlight=False)
    if not findings:
        names = ", ".join(each.name for each in shown.witnesses) or "no witness"
        told.print(
            f"{checkpoint.origin}: {checkpoint.size:,} entries are as signed, cosigned by {names}",
            markup=False,
            highlight=False,
        )
