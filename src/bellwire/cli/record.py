"""Whose keys a name has in a log, as every command asks for them: read whole, and remembered."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.iot.identity import PublicIdentity
    from bellwire.ledger.people import Known
    from bellwire.ledger.pins import Pins
    from bellwire.ledger.policy import Policy, TrustedCheckpoint
    from bellwire.ledger.receipt import Receipt


@dataclass(frozen=True, slots=True)
class LogPlace:
    """A log, and who must have signed and cosigned it.

    Attributes:
        place: An address, or a folder.
        trust: Whose signatures count.
        ca: Authorities that may vouch for its TLS, PEM; None: those of the system.
        writers: Whose registrations count; none named: everybody's.
    """

    place: str
    trust: "Policy"
    ca: Path | None = None
    writers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """What a log says of a name; `keep` remembers it.

    Attributes:
        known: The keys that count.
        shown: The checkpoint up to which it was read.
        receipt: The proof of the registration.
    """

    known: "Known"
    shown: "TrustedCheckpoint"
    receipt: "Receipt"
    _pins: "Pins"

    def keep(self) -> None:
        """Remember these keys: others are an alarm from now on."""
        self._pins.keep(self.shown.checkpoint, self.known)


def look(log: LogPlace, state: Path, handle: str, *, accept: bool = False) -> Looked:
    """Read a log whole, and say which keys a name has in it.

    Args:
        log: Not trusted beyond its policy.
        state: The state folder, which remembers what was found before.
        handle: In its one form.
        accept: Whether keys that changed are theirs.

    Raises:
        HandleAbsent: nobody is admitted by this name, or all keys were revoked.
        KeysChanged: the keys are others than before.
        LogAltered, ConsistencyMismatch, CheckpointUntrusted, TooFewWitnesses: the log is not as it
            signed, or nobody whom we trust did.
    """
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.people import find
    from bellwire.ledger.pins import Pins, require_grown, require_same
    from bellwire.ledger.policy import verify_checkpoint
    from bellwire.ledger.reading import LogReader, prove
    from bellwire.ledger.receipt import Receipt

    pins = Pins(state / "people")
    with fetching(log.place, log.ca) as fetch, output.progress("reading the log"):
        reader = LogReader(fetch)
        note = reader.note()
        shown = verify_checkpoint(note, log.trust)
        checkpoint = shown.checkpoint
        pin = pins.get(checkpoint.origin, handle)
        if pin is not None:
            require_grown(pin, checkpoint, reader)
        known = find(reader, checkpoint, handle, log.writers)
        ((_, _, proof),) = prove(reader, checkpoint, known.number, known.number + 1)
    if pin is not None and not accept:
        require_same(pin, known)
    return Looked(known, shown, Receipt(known.number, proof, note, known.encoded), pins)


def channel_of(known: "Known") -> "PublicIdentity | None":
    """The key of a device or a cloud in the channel, if they have one."""
    from bellwire.iot.identity import PublicIdentity
    from bellwire.ledger.entries.fields import KeyAlgorithm

    lattice, curve = known.key(KeyAlgorithm.ML_KEM_768), known.key(KeyAlgorithm.X25519)
    if lattice is None or curve is None:
        return None
    return PublicIdentity("device", known.handle, lattice + curve)
