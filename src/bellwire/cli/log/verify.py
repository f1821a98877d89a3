"""`bellwire log verify`: a receipt or a checkpoint without the log, or the whole of a log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.log.place import CaOption
from bellwire.cli.log.trust import (
    KeyOption,
    PolicyOption,
    QuorumOption,
    WitnessOption,
    read,
    trusted,
)
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.ledger.policy import Policy, TrustedCheckpoint
    from bellwire.ledger.receipt import Receipt


def command(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|LOG",
            help="A receipt (.tlog-proof), a signed checkpoint, or a whole log: its folder or "
            "address.",
        ),
    ],
    key: KeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    entry: Annotated[
        Path | None,
        typer.Option(
            "--entry",
            metavar="FILE",
            help="The entry that the receipt is for. Default: the one in the receipt.",
        ),
    ] = None,
    leaf: Annotated[
        str | None,
        typer.Option("--hash", metavar="HEX", help="Its hash, 64 digits, in place of the entry."),
    ] = None,
    ca: CaOption = None,
    json: JsonFlag = False,
) -> None:
    """Check a receipt or a checkpoint offline, or all entries of a log, and say what holds.

    A receipt holds if a log that you trust signed its checkpoint, the quorum of witnesses cosigned
    it, and the proof leads from the entry to the checkpoint's root. A log holds if all its entries
    do; those that were altered are named. Exit 3 if any of it does not hold.
    """
    from bellwire.ledger.note import MAX_NOTE_BYTES, parse_note
    from bellwire.ledger.policy import verify_checkpoint
    from bellwire.ledger.receipt import MAX_RECEIPT_BYTES, is_receipt, parse_receipt

    trust = trusted(key, witness, quorum, policy)
    whole = file.startswith(("http://", "https://")) or Path(file).is_dir()
    if whole and (entry is not None or leaf is not None):
        raise UsageError("expected a receipt together with --entry or --hash, got a log")
    data = b"" if whole else read(Path(file), MAX_RECEIPT_BYTES)
    if whole:
        found = {"kind": "log", **_checkpoint(_log(file, ca, trust)), "entry": None}
    elif is_receipt(data):
        found = _receipt(parse_receipt(data), entry, leaf, trust)
    elif entry is not None or leaf is not None:
        raise UsageError("expected a receipt together with --entry or --hash, got a checkpoint")
    else:
        note = parse_note(data[: MAX_NOTE_BYTES + 1])
        found = {"kind": "checkpoint", **_checkpoint(verify_checkpoint(note, trust)), "entry": None}
    document = {"holds": True, **found, "quorum": quorum_words(trust)}
    if json:
        output.emit(document)
    else:
        _tell(document)


def _log(place: str, ca: Path | None, trust: "Policy") -> "TrustedCheckpoint":
    """The checkpoint of a log all of whose entries are as signed."""
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.monitor import Monitor, require_none
    from bellwire.ledger.policy import verify_checkpoint
    from bellwire.ledger.reading import LogReader

    with fetching(place, ca) as fetch, output.progress("reading the log"):
        reader = LogReader(fetch)
        shown = verify_checkpoint(reader.note(), trust)
        monitor = Monitor(reader)
        monitor.follow(shown.checkpoint)
    require_none(shown.checkpoint, monitor.findings)
    return shown


def _receipt(
    receipt: "Receipt", entry: Path | None, leaf: str | None, trust: "Policy"
) -> dict[str, object]:
    from bellwire.ledger.receipt import verify_receipt
    from bellwire.ledger.tiles import MAX_ENTRY_BYTES
    from bellwire.ledger.tree import leaf_hash

    if entry is not None and leaf is not None:
        raise UsageError("expected --entry or --hash, got both")
    size = None
    if leaf is not None:
        hash_ = _hash(leaf)
        source = "hash"
    else:
        content = receipt.extra if entry is None else read(entry, MAX_ENTRY_BYTES)
        source = "receipt" if entry is None else "file"
        if content is None:
            raise UsageError(
                "expected --entry or --hash, got a receipt that does not have its entry in it"
            )
        hash_, size = leaf_hash(content), len(content)
    checked = verify_receipt(receipt, hash_, trust)
    which = {"index": receipt.index, "hash": hash_.hex(), "bytes": size, "from": source}
    return {"kind": "receipt", **_checkpoint(checked), "entry": which}


def _checkpoint(checked: "TrustedCheckpoint") -> dict[str, object]:
    checkpoint = checked.checkpoint
    return {
        "log": checkpoint.origin,
        "key": f"{checked.log.name}+{checked.log.key_id.hex()}",
        "signature": _KINDS[int(checked.log.kind)],
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "signed_at": _time(checked.log_time),
        "witnesses": [
            {
                "name": each.name,
                "key": f"{each.key.name}+{each.key.key_id.hex()}",
                "signature": _KINDS[int(each.key.kind)],
                "cosigned_at": _time(each.time),
            }
            for each in checked.witnesses
        ],
    }


_KINDS = {1: "Ed25519", 4: "Ed25519", 6: "ML-DSA-44"}


def quorum_words(policy: "Policy") -> str:
    """How many of which witnesses had to cosign, in words."""
    groups = dict(policy.groups)
    if policy.quorum == "none":
        return "none"
    if policy.quorum not in groups:
        return policy.quorum
    group = groups[policy.quorum]
    return f"{group.least} of {len(group.members)}"


def _time(seconds: int | None) -> str | None:
    """As ISO 8601 in UTC; None for no time, and for one beyond any calendar."""
    from datetime import UTC, datetime

    if not seconds or seconds >= 253_402_300_800:  # the year 10000
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hash(text: str) -> bytes:
    import string

    if len(text) != 64 or not set(text) <= set(string.hexdigits):
        raise UsageError(f"--hash: expected 64 hexadecimal digits, got {text[:80]!r}")
    return bytes.fromhex(text)


def _tell(found: dict[str, object]) -> None:
    def say(text: str) -> None:
        output.stdout().print(text, highlight=False)

    when = f" at {found['signed_at']}" if found["signed_at"] else ""
    say(f"✓ log {_plain(found['log'])}: {found['size']:,} entries, root {found['root']}")
    say(f"✓ signed by {_plain(found['key'])}, {found['signature']}{when}")
    entry = found["entry"]
    if found["kind"] == "log":
        say("✓ all its entries are those that were signed")
    if isinstance(entry, dict):
        size = "" if entry["bytes"] is None else f", {entry['bytes']:,} bytes"
        say(f"✓ entry {entry['index']:,} is in it: hash {entry['hash']}{size}")
    witnesses = found["witnesses"]
    assert isinstance(witnesses, list)
    for each in witnesses:
        at = f" at {each['cosigned_at']}" if each["cosigned_at"] else ""
        say(f"✓ cosigned by {_plain(each['key'])}, {each['signature']}{at}")
    if found["quorum"] == "none":
        say("· no witness was asked for: the log may show others another history")
    else:
        say(f"✓ quorum met: {_plain(found['quorum'])}")


def _plain(value: object) -> str:
    """Words of a stranger, whose escape sequences no terminal is to follow."""
    return "".join(each if each.isprintable() else "?" for each in str(value))
