"""`bellwire people`: whose keys a name has, proved by a log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.log.place import CaOption
from bellwire.cli.log.trust import KeyOption, PolicyOption, QuorumOption, WitnessOption, trusted
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.ledger.people import Known
    from bellwire.ledger.policy import TrustedCheckpoint
    from bellwire.node.settings import Settings

app = typer.Typer(help="Whose keys a name has, proved by a log.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Whose keys a name has, proved by a log."""


@app.command("find")
def find(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As they are registered.")],
    log: Annotated[
        str,
        typer.Option(
            "--log", metavar="LOG", help="Where it is: http://… or https://…, or a folder of it."
        ),
    ],
    key: KeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    writer: Annotated[
        list[str] | None,
        typer.Option(
            "--writer",
            metavar="NAME",
            help="Whose registrations count; again for more. Default: every writer's.",
        ),
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the proof of their registration there."),
    ] = None,
    chat_as: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="PERSON", help="Let this person's chat take @NAME for nobody else."
        ),
    ] = None,
    allow: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Their device may come to the cloud of this folder of devices."
        ),
    ] = None,
    cloud_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write their cloud's key there, for `bellwire device enroll`."
        ),
    ] = None,
    cloud_name: Annotated[
        str,
        typer.Option(
            "--cloud-name", metavar="NAME", help="As `bellwire cloud --name` has it there."
        ),
    ] = "cloud",
    accept: Annotated[
        bool, typer.Option("--accept", help="Keys that changed are theirs: remember these.")
    ] = False,
    ca: CaOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Read a log whole, and show the keys that a name has in it.

    The newest registration counts of which no key was revoked. Exit 3 if there is none, if the log
    is not as it signed, and if the keys are others than those that were found before.
    """
    from bellwire.base.handles import canonical
    from bellwire.base.private import write_whole
    from bellwire.cli.record import LogPlace, look
    from bellwire.node.settings import load

    handle = canonical(name)
    place = LogPlace(log, trusted(key, witness, quorum, policy), ca, writer or ())
    settings = load(config, {"state": {"dir": state}})
    looked = look(place, settings.state.dir, handle, accept=accept)
    known, shown = looked.known, looked.shown
    if chat_as is not None:
        _expect(settings, chat_as, known, accept=accept)
    pinned = _pin_channel(known, allow, cloud_key, cloud_name)
    looked.keep()
    if receipt is not None:
        write_whole(receipt, looked.receipt.encode(), 0o644, replace=True)
    if json:
        output.emit({**_document(known, shown), "pinned": pinned})
    else:
        _tell(known, shown)
        for path in pinned:
            output.stdout().print(f"pinned in {path}", soft_wrap=True)


def _expect(settings: "Settings", who: str, known: "Known", *, accept: bool) -> None:
    """Pin the identity that the log shows in a person's chat."""
    from bellwire.base.errors import RefusedError
    from bellwire.chat.messenger.account import expect
    from bellwire.chat.messenger.home import person_of
    from bellwire.node.settings import credentials_folder

    fingerprint = _identity(known)
    if fingerprint is None:
        raise RefusedError(
            f"expected keys of a chat's identity of {known.handle}, got others",
            hint="They register them with: bellwire register NAME --as PERSON",
        )
    with person_of(settings.state.dir, who, credentials_folder()) as person:
        expect(person, known.handle, bytes.fromhex(fingerprint), replace=accept)


def _identity(known: "Known") -> str | None:
    """Fingerprint of the identity in chat that has these signing keys, if they have both."""
    from bellwire.chat.identity import IdentityPublic
    from bellwire.ledger.entries.fields import KeyAlgorithm

    classical, lattice = known.key(KeyAlgorithm.ED25519), known.key(KeyAlgorithm.ML_DSA_65)
    if classical is None or lattice is None:
        return None
    return IdentityPublic(classical + lattice).fingerprint.hex()


def _pin_channel(
    known: "Known", allow: Path | None, cloud_key: Path | None, cloud_name: str
) -> list[Path]:
    """Write the key that the log shows where a cloud, or a device, looks for it."""
    from dataclasses import replace

    from bellwire.base.errors import RefusedError
    from bellwire.cli.record import channel_of
    from bellwire.iot.identity import write_public

    if allow is None and cloud_key is None:
        return []
    found = channel_of(known)
    if found is None:
        raise RefusedError(
            f"expected the key of a device or a cloud of {known.handle}, got others",
            hint="They register it with: bellwire register NAME --device, or --cloud",
        )
    pinned = []
    if allow is not None:
        pinned.append(allow / f"{known.handle}.pub")
        write_public(pinned[-1], found)
    if cloud_key is not None:
        pinned.append(cloud_key)
        # A cloud answers to the name that it has itself, whatever it is registered as.
        write_public(cloud_key, replace(found, role="cloud", name=cloud_name))
    return pinned


def _document(known: "Known", shown: "TrustedCheckpoint") -> dict[str, object]:
    from bellwire.cli.record import channel_of
    from bellwire.ledger.text import to_base64

    channel = channel_of(known)
    return {
        "handle": known.handle,
        "number": known.number,
        "at": known.entry.at,
        "writer": known.entry.writer,
        "keys": {each.algorithm.value: to_base64(each.key) for each in known.entry.keys},
        "digests": known.digests,
        "identity": _identity(known),
        "channel": None if channel is None else channel.fingerprint.hex(),
        "earlier": known.earlier,
        "revocations": known.revocations,
        "alike": known.alike,
        "origin": shown.checkpoint.origin,
        "size": shown.checkpoint.size,
        "root": shown.checkpoint.root.hex(),
        "witnesses": [each.name for each in shown.witnesses],
    }


def _tell(known: "Known", shown: "TrustedCheckpoint") -> None:
    from bellwire.cli.log.words import when
    from bellwire.cli.record import channel_of

    def say(text: str) -> None:
        output.stdout().print(text, highlight=False, soft_wrap=True)

    names = ", ".join(each.name for each in shown.witnesses) or "no witness"
    checkpoint = shown.checkpoint
    say(
        f"{known.handle}: entry {known.number:,} of {checkpoint.size:,} in {checkpoint.origin},"
        f" by {known.entry.writer}, {when(known.entry.at)} UTC; cosigned by {names}"
    )
    for kind, digest in known.digests.items():
        say(f"  {kind:<11} {digest}")
    if (identity := _identity(known)) is not None:
        say(f"  in chat     {identity}")
    if (channel := channel_of(known)) is not None:
        say(f"  in channel  {channel.fingerprint.hex()}")
    if known.earlier:
        say(f"  earlier: entries {', '.join(map(str, known.earlier))}, which count no more")
    if known.revocations:
        say(f"  keys revoked: entries {', '.join(map(str, known.revocations))}")
    if known.alike:
        say(f"  looks like it, and is somebody else: {', '.join(known.alike)}")
