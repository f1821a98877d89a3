"""`bellwire log entries`: what a log records, each entry proved to be in it."""

from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.log.place import CaOption, LogArgument
from bellwire.cli.log.trust import KeyOption, PolicyOption, QuorumOption, WitnessOption, trusted
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bellwire.ledger.entries.model import Entry
    from bellwire.ledger.policy import TrustedCheckpoint


def command(
    log: LogArgument,
    key: KeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    start: Annotated[
        int | None,
        typer.Option("--from", metavar="N", min=0, help="From this number on. Default: the last."),
    ] = None,
    count: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Show so many entries.")
    ] = 100,
    among: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=10_000_000, help="Look for them among so many entries at most."
        ),
    ] = 65_536,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Show these alone; again for more."),
    ] = None,
    writer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show those of this writer alone.")
    ] = None,
    handle: Annotated[
        str | None, typer.Option(metavar="HANDLE", help="Show those about this handle alone.")
    ] = None,
    ca: CaOption = None,
    json: JsonFlag = False,
) -> None:
    """Show entries of a log that a log which you trust has signed, each proved to be in it.

    With --kind, --writer or --handle these are the last that fit; it says how far it looked.

    Exit 3 if a signature, a witness or a proof is missing or does not hold.
    """
    from msgspec import to_builtins

    from bellwire.ledger.choosing import choose
    from bellwire.ledger.entries.model import KINDS
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.policy import verify_checkpoint
    from bellwire.ledger.reading import LogReader

    kinds = [each.__struct_config__.tag for each in KINDS]
    for each in kind or ():
        if each not in kinds:
            raise UsageError(f"--kind: expected one of {', '.join(map(str, kinds))}, got {each!r}")
    trust = trusted(key, witness, quorum, policy)

    def wanted(entry: "Entry") -> bool:
        return (
            (not kind or entry.__struct_config__.tag in kind)
            and (writer is None or entry.writer == writer)
            and (handle is None or getattr(entry, "handle", None) == handle)
        )

    with fetching(log, ca) as fetch:
        reader = LogReader(fetch)
        found = verify_checkpoint(reader.note(), trust)
        chosen = choose(reader, found.checkpoint, wanted, start=start, count=count, among=among)
    if json:
        entries = [
            {"number": number, "entry": to_builtins(entry)} for number, entry in chosen.entries
        ]
        looked = {"from": chosen.first, "to": chosen.end}
        output.emit({**_checkpoint(found), "looked": looked, "entries": entries})
        return
    _tell(found, chosen.entries)
    if chosen.cut:
        output.stderr().print(
            f"Looked at entries {chosen.first:,} to {chosen.end - 1:,}. For others: --from N, or "
            "more with --among N.",
        )


def _checkpoint(found: "TrustedCheckpoint") -> dict[str, object]:
    return {
        "origin": found.checkpoint.origin,
        "size": found.checkpoint.size,
        "root": found.checkpoint.root.hex(),
        "witnesses": [{"name": each.name, "time": each.time} for each in found.witnesses],
    }


def _tell(found: "TrustedCheckpoint", shown: "Sequence[tuple[int, Entry]]") -> None:
    from msgspec import to_builtins

    from bellwire.cli.log.words import when, words

    told = output.stdout()
    names = ", ".join(each.name for each in found.witnesses) or "no witness"
    told.print(
        f"{found.checkpoint.origin}: {found.checkpoint.size:,} entries, cosigned by {names}",
        highlight=False,
    )
    common = {"v", "kind", "at", "writer", "epoch", "sequence"}
    for number, entry in shown:
        fields = to_builtins(entry)
        rest = " ".join(
            f"{name}={words(name, value)}" for name, value in fields.items() if name not in common
        )
        about = f"{fields['kind']:<14}  {fields['writer']}  {rest}"
        told.print(
            f"{number:>8}  {when(fields['at'])}  {about}",
            highlight=False,
            soft_wrap=True,
        )
