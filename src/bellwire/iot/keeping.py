"""How the long-term keys of devices, clouds and authorities rest: plain, or wrapped.

Plain is a file of its owner's, 0600. Wrapped, the key opens with a passphrase, an entry of the
operating system's keyring, a PKCS #11 token, or a file on another medium (`crypto.kek`). A key that
was plain is wrapped when it is next used under a protection, and its plain file is overwritten and
removed; what flash or snapshots keep of it is out of our hands.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bellwire.base.lock import held
from bellwire.base.private import own_folder, read_own_file, unusable, write_whole
from bellwire.base.secret import Secret
from bellwire.crypto.kek.envelope import Envelope, Wrapped
from bellwire.crypto.kek.errors import KekRefused, KekUnusable
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.crypto.kek.record import Replaced, describe, kind_of
from bellwire.crypto.kek.rotation import rotate
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.kek.sources import parse_source

PLAIN: Final = "plain"
SETTING: Final = "identity.protection"
LOCK_FILE: Final = "identity.lock"


def parse_protection(text: str, folder: Path, credentials: Path | None = None) -> KekSource | None:
    """What a setting says: `plain`, which is None, or a source of key-encryption keys.

    Args:
        text: `plain`, `file:FOLDER`, `passphrase[:FILE]`, `passphrase:fd:N`, `keyring` or a
            `pkcs11:` URI.
        folder: Of the key.
        credentials: Folder of systemd's credentials, if there is one.

    Raises:
        KekUnusable: it says none of these.
    """
    if text == PLAIN:
        return None
    if text == "file":
        raise KekUnusable(
            "expected file:FOLDER with a folder elsewhere, got file alone",
            hint="A key beside what it wraps protects nothing; plain says so.",
        )
    return parse_source(text, folder, credentials)


def unlock(
    folder: Path, wrapped: Wrapped, protection: KekSource | None, *, fresh: bool
) -> Secret | None:
    """The secret of a folder.

    Args:
        folder: Where it rests.
        wrapped: What it is.
        protection: What wraps it; None: nothing.
        fresh: Whether to make one where there is none.

    Returns:
        It, or None if there is none and `protection` is None and it is not to be made.

    Raises:
        KekRefused: it does not open, or rests otherwise than `protection` says.
        KekUnusable, KekUnavailable: the source cannot be asked.
        PathUnusable, PathExposed: a file cannot be used, or others may read it.
    """
    own_folder(folder)
    if protection is not None:
        with _unlocked(folder, wrapped, protection, fresh=fresh) as (_, secret):
            return Secret(secret.reveal())
    # Any source can read a record: it is not opened.
    record = Envelope(folder, KeyFiles(folder), wrapped).record()
    if record is not None:
        raise KekRefused(
            f"expected a plain {wrapped.what}, as {SETTING} says, "
            f"got one wrapped by {kind_of(record.kek)}",
            hint=f"Name its source: --key-protection SOURCE, or the setting {SETTING}.",
        )
    path = folder / wrapped.bare
    most = wrapped.sizes[1] + 1
    data = read_own_file(path, most)
    if data is None and fresh:
        write_whole(path, wrapped.make(), replace=False)
        data = read_own_file(path, most)
    return None if data is None else Secret(data)


def protect(
    folder: Path, wrapped: Wrapped, old: KekSource | None, new: KekSource
) -> Replaced | None:
    """Wrap the secret of a folder under a new key-encryption key of `new`.

    One that was interrupted is finished by the same call.

    Args:
        folder: Where it rests.
        wrapped: What it is.
        old: What wraps it now; None: nothing.
        new: What is to wrap it; may be the same.

    Returns:
        The key-encryption key that was destroyed; None if there was none, or a passphrase.

    Raises:
        KekRefused, KekUnusable, KekUnavailable, PathUnusable, PathExposed: as `unlock`.
    """
    if old is None:
        record = Envelope(folder, new, wrapped).record()
        begun = record is not None and kind_of(record.kek) == new.kind
        if not begun and unlock(folder, wrapped, None, fresh=False) is None:
            raise KekRefused(f"expected the {wrapped.what} in {folder}, got none")
        with _unlocked(folder, wrapped, new, fresh=False):
            return None
    return rotate(
        lambda source, earlier: _unlocked(folder, wrapped, source, fresh=False, earlier=earlier),
        lambda source: Envelope(folder, source, wrapped),
        old,
        new,
    )


def show(folder: Path, wrapped: Wrapped) -> dict[str, object]:
    """How the secret of a folder rests, in plain values; nothing secret, and nothing verified.

    Raises:
        KekRefused: there is none, or its record is none of ours.
    """
    record = Envelope(folder, KeyFiles(folder), wrapped).record()
    if record is not None:
        return describe(record)
    if not (folder / wrapped.bare).exists():
        raise KekRefused(f"expected the {wrapped.what} in {folder}, got none")
    return {"source": PLAIN, "key": None, "argon2id": None, "replaces": None}


@contextlib.contextmanager
def _unlocked(
    folder: Path,
    wrapped: Wrapped,
    source: KekSource,
    *,
    fresh: bool,
    earlier: KekSource | None = None,
) -> Iterator[tuple[Envelope, Secret]]:
    """The secret, while no other process opens or wraps it."""
    path = folder / LOCK_FILE
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(path, wait=True))
        except OSError as error:
            raise unusable(path, error) from error
        envelope = Envelope(folder, source, wrapped)
        secret = envelope.unlock(fresh=fresh)
        stack.callback(secret.wipe)
        envelope.settle(secret, earlier)
        yield envelope, secret
