"""What a log signs, and that it never signs two histories.

What always holds: the last checkpoint is on the disk before anybody sees it, witnesses included, in
a folder apart from the store. A store that holds fewer entries than it says, or others, was put
back to an earlier state or altered: such a log signs nothing, since its next checkpoint would be of
another history. Where both were put back together, a witness refuses: it has seen more.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.base.secret import Secret
from bellwire.ledger.checkpoint import Checkpoint, parse_checkpoint
from bellwire.ledger.note import MAX_NOTE_BYTES, Note, parse_note
from bellwire.ledger.policy import of_witnesses, verify_checkpoint
from bellwire.ledger.service.errors import LogBehind, LogUnnamed
from bellwire.ledger.signing import SECRET_BYTES, Signer, log_signers
from bellwire.ledger.store.store import Head
from bellwire.ledger.tree import EMPTY_ROOT
from bellwire.ledger.verifier_keys import VerifierKey

KEY_FILE: Final = "log.key"
_MAX_NAME: Final = 256

KeyOf = Callable[[Path, bool], Secret | None]
"""(folder, whether to make one where there is none) → the 64 secret bytes of a log."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a log is.

    Attributes:
        origin: Its name.
        signers: Its keys: Ed25519, ML-DSA-44.
    """

    origin: str
    signers: tuple[Signer, Signer]

    @property
    def keys(self) -> tuple[VerifierKey, VerifierKey]:
        """Its public keys."""
        first, second = self.signers
        return first.verifier, second.verifier


def plain_key(folder: Path, fresh: bool) -> Secret | None:
    """The secret of a log as a file of its owner's; made where there is none, if `fresh`.

    Raises:
        PathUnusable, PathExposed: the file cannot be used, or others may read it.
    """
    path = folder / KEY_FILE
    data = read_own_file(path, SECRET_BYTES + 1)
    if data is None and fresh:
        data = os.urandom(SECRET_BYTES)
        write_whole(path, data, replace=False)
    return None if data is None else Secret(data)


def open_identity(folder: Path, origin: str | None, key_of: KeyOf = plain_key) -> Identity:
    """The identity that rests in a folder; a new one where there is none.

    Args:
        folder: The signer's own, apart from the store.
        origin: The log's name; needed once.
        key_of: Brings its secret, from wherever it rests.

    Raises:
        LogUnnamed: there is no name, or it has another, or its key is missing or cut short.
        VerifierKeyUnusable: the name cannot be one.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """
    own_folder(folder)
    kept = read_own_file(folder / "origin", _MAX_NAME)
    name = origin if kept is None else kept.decode().rstrip("\n")
    if name is None:
        raise LogUnnamed(
            "expected the name of a log that begins, got none",
            hint="Choose one for ever, such as --origin log.example.org/site-a",
        )
    if origin not in {None, name}:
        raise LogUnnamed(f"expected {name}, which this log is called, got {origin}")
    if kept is None:
        log_signers(name, Secret(bytes(SECRET_BYTES)))  # a name that cannot be one ends here
    secret = key_of(folder, kept is None)
    if secret is None or len(secret) != SECRET_BYTES:
        got = "none" if secret is None else "another length"
        raise LogUnnamed(
            f"expected {SECRET_BYTES} bytes of key of {name} in {folder}, got {got}",
            hint="Put it back; without it this log is no more.",
        )
    signers = log_signers(name, secret)
    if kept is None:
        write_whole(folder / "origin", f"{name}\n".encode(), replace=True)
    return Identity(name, signers)


class LogSigner:
    """Signs a log's checkpoints, each consistent with all before it.

    Args:
        folder: The signer's own.
        identity: Of the log.
        head: How far the store has come.
        root: The root of the store's first so many entries.

    Attributes:
        identity: As given.
        signed: The last checkpoint.

    Raises:
        LogBehind: the store is not what was signed.
        NoteMalformed, CheckpointUntrusted: what was signed last cannot be read.
    """

    def __init__(
        self, folder: Path, identity: Identity, head: Head, root: Callable[[int], bytes]
    ) -> None:
        self.identity = identity
        self._signed_path, self._shown_path = folder / "signed", folder / "shown"
        self.signed = Checkpoint(identity.origin, 0, EMPTY_ROOT)
        self._last = self._read(self._signed_path)
        self._shown = self._read(self._shown_path)
        if self._last is not None:
            self.signed = parse_checkpoint(self._last.text)
        _require_grown(self.signed, head, root)
        if self._shown is not None:
            _require_grown(parse_checkpoint(self._shown.text), head, root)

    @property
    def note(self) -> Note | None:
        """What was signed last, by the log alone."""
        return self._last

    @property
    def shown(self) -> Note | None:
        """What was shown last, with cosignatures; it may be older."""
        return self._shown

    def sign(self, head: Head, root: Callable[[int], bytes], now: float) -> Note:
        """Sign how far the store has come.

        Args:
            head: Of the store.
            root: As above.
            now: Seconds since the epoch.

        Raises:
            LogBehind: it is not what was signed before, grown.
            PathUnusable: it could not be kept; then nobody is to see it.
        """
        _require_grown(self.signed, head, root)
        checkpoint = Checkpoint(self.identity.origin, head.size, head.root)
        lines = [each.sign(checkpoint, int(now)) for each in self.identity.signers]
        note = Note(checkpoint.text, tuple(lines))
        write_whole(self._signed_path, note.encode(), replace=True)
        self._last, self.signed = note, checkpoint
        return note

    def show(self, note: Note) -> None:
        """Keep what is to be shown from now on.

        Args:
            note: From `sign`, perhaps with cosignatures.

        Raises:
            PathUnusable: it could not be kept.
        """
        write_whole(self._shown_path, note.encode(), replace=True)
        self._shown = note

    def _read(self, path: Path) -> Note | None:
        data = read_own_file(path, MAX_NOTE_BYTES)
        if data is None:
            return None
        note = parse_note(data)
        verify_checkpoint(note, of_witnesses(self.identity.keys, (), 0))
        return note


def _require_grown(signed: Checkpoint, head: Head, root: Callable[[int], bytes]) -> None:
    if head.size < signed.size:
        raise LogBehind(
            f"expected a store of at least {signed.size:,} entries, which this log has signed,"
            f" got {head.size:,}",
            hint="It was put back to an earlier state. Put a newer copy back; a log that goes on"
            " from here would have two histories.",
        )
    if root(signed.size) != signed.root:
        raise LogBehind(
            f"expected the {signed.size:,} entries that this log has signed, got others",
            hint="Put an unaltered copy of the store back.",
        )
