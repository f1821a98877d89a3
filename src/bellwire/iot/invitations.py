"""A cloud's invitations: files that each admit one device, once.

An invitation is taken by the first device that proves to have its code, and that is durable before
the device is on the list; then it is admitted, and that is durable before it is told. So a crash at
any step leaves an invitation that only the same device can go on with, and never two devices on one
code. The file has the code's key, not the code; who reads it could stand in for the device or for
the cloud, until the invitation is taken or ends.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.clock import Clock, system_clock
from bellwire.base.decoding import UNDECODABLE
from bellwire.base.lock import held
from bellwire.base.private import own_folder, read_own_file, sync_folder, unusable, write_whole
from bellwire.iot.code import ID_BYTES, KEY_BYTES, Code, make_code
from bellwire.iot.errors import InvitationError
from bellwire.iot.identity import PublicIdentity, write_public

FOLDER: Final = "invitations"
MAX_FILE: Final = 4096
MAX_INVITATIONS: Final = 1000
MAX_WRONG: Final = 5
"""Requests that name an invitation and are not under its code; then it is spent."""

KEPT_S: Final = 7 * 86_400.0
"""How long one that has ended is kept, so that who comes late hears why."""

MIN_LIFE_S: Final = 60.0
MAX_LIFE_S: Final = 7 * 86_400.0


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One invitation.

    Attributes:
        id: 16 bytes.
        key: Of the code; secret.
        name: What the device will be called.
        made: Seconds since the epoch.
        expires: The same.
        wrong: How often it was named by somebody without its code.
        device: Fingerprint of the device that took it, or None.
        admitted: Whether that device has been put on the list.
    """

    id: Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
    key: Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
    name: Annotated[str, Meta(min_length=1, max_length=60)]
    made: float
    expires: float
    wrong: Annotated[int, Meta(ge=0, le=MAX_WRONG)] = 0
    device: Annotated[bytes, Meta(min_length=1216, max_length=1216)] | None = None
    admitted: bool = False

    def __repr__(self) -> str:
        return f"Invitation({self.name!r})"

    def state(self, now: float) -> str:
        """One word: `used`, `spent`, `expired` or `open`."""
        if self.device is not None:
            return "used"
        if self.wrong >= MAX_WRONG:
            return "spent"
        return "open" if self.made - 1 <= now < self.expires else "expired"


_decoder = msgspec.json.Decoder(Invitation)


class Invitations:
    """A cloud's folder of invitations.

    Args:
        folder: Where they are.
        allowed: The cloud's folder of admitted devices.
        clock: Seconds since the epoch.

    Raises:
        PathUnusable, PathExposed: a folder cannot be used.
    """

    def __init__(self, folder: Path, allowed: Path, *, clock: Clock = system_clock) -> None:
        self._folder = own_folder(folder)
        self._allowed = own_folder(allowed)
        self._clock = clock

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within, no other thread or process uses an invitation or takes one back.

        Raises:
            PathUnusable: the lock cannot be had.
        """
        path = self._folder / "lock"
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(held(path, wait=True))
            except OSError as error:
                raise unusable(path, error) from error
            yield

    def invite(self, name: str, life_s: float) -> tuple[Invitation, Code]:
        """Make an invitation, durably; what ended long ago is removed.

        Raises:
            InvitationError: the name or the life is out of range, or there are too many.
            PathUnusable: it cannot be written.
        """
        if not MIN_LIFE_S <= life_s <= MAX_LIFE_S:
            raise InvitationError(
                f"expected a life of {MIN_LIFE_S:g} to {MAX_LIFE_S:g} s, got {life_s:g}"
            )
        if not 1 <= len(name) <= 60 or not name.isprintable() or len(name.encode()) > 240:
            raise InvitationError("expected a name of 1 to 60 printable characters, got another")
        with self.held():
            self._sweep()
        if sum(1 for _ in self._folder.glob("*.json")) >= MAX_INVITATIONS:
            raise InvitationError(
                f"expected fewer than {MAX_INVITATIONS} invitations, got as many",
                hint="Take some back: bellwire cloud invitations --cancel ID",
            )
        code, now = make_code(), self._clock()
        made = Invitation(code.id, code.key.reveal(), name, now, now + life_s)
        self._write(made, replace=False)
        return made, code

    def all(self) -> list[Invitation]:
        """Every invitation, the oldest first; files that are none of ours are left out."""
        found = [self.find(id_) for id_ in self._ids()]
        return sorted((each for each in found if each is not None), key=lambda each: each.made)

    def find(self, id_: bytes) -> Invitation | None:
        """The invitation of this id, if there is one.

        Raises:
            PathUnusable, PathExposed: its file cannot be read, or others may.
        """
        data = read_own_file(self._path(id_), MAX_FILE)
        if data is None:
            return None
        try:
            found = _decoder.decode(data)
        except UNDECODABLE:
            return None
        return found if found.id == id_ else None

    def cancel(self, id_: bytes) -> None:
        """Take an invitation back; a device that it admitted stays.

        Raises:
            InvitationError: there is none.
            PathUnusable: its file cannot be removed.
        """
        with self.held():
            if self.find(id_) is None:
                raise InvitationError(f"expected an invitation {id_.hex()}, got none")
            self._remove(id_)

    def wrong(self, invitation: Invitation) -> None:
        """Note, durably, that somebody without its code named an invitation."""
        if invitation.wrong < MAX_WRONG:
            self._write(msgspec.structs.replace(invitation, wrong=invitation.wrong + 1))

    def admit(self, invitation: Invitation, public: bytes) -> None:
        """Let a device take the invitation, and put it on the list; again is harmless.

        Args:
            invitation: Not yet taken, or taken by this device and not finished.
            public: The device's public key.

        Raises:
            PathUnusable: a file cannot be written; the same device may try again.
        """
        assert invitation.device in {None, public}
        assert not invitation.admitted
        taken = msgspec.structs.replace(invitation, device=public)
        if taken != invitation:
            self._write(taken)
        self._finish(taken)

    def is_listed(self, public: bytes) -> bool:
        """Whether a device that an invitation admitted is still on the list."""
        return self._listed(public).exists()

    def settle(self) -> None:
        """Finish what a crash left between taking an invitation and admitting its device."""
        with self.held():
            for invitation in self.all():
                if invitation.device is not None and not invitation.admitted:
                    self._finish(invitation)

    def _finish(self, taken: Invitation) -> None:
        assert taken.device is not None
        device = PublicIdentity("device", taken.name, taken.device)
        write_public(self._listed(taken.device), device)
        self._write(msgspec.structs.replace(taken, admitted=True))

    def _listed(self, public: bytes) -> Path:
        fingerprint = PublicIdentity("device", "", public).fingerprint
        return self._allowed / f"{fingerprint.hex()}.pub"

    def _sweep(self) -> None:
        now = self._clock()
        for id_ in self._ids():
            invitation = self.find(id_)
            if invitation is not None and now - invitation.expires > KEPT_S:
                self._remove(id_)

    def _ids(self) -> Iterator[bytes]:
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(ValueError):
                yield bytes.fromhex(path.stem)

    def _path(self, id_: bytes) -> Path:
        return self._folder / f"{id_.hex()}.json"

    def _write(self, invitation: Invitation, *, replace: bool = True) -> None:
        content = msgspec.json.encode(invitation) + b"\n"
        write_whole(self._path(invitation.id), content, replace=replace)

    def _remove(self, id_: bytes) -> None:
        path = self._path(id_)
        try:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        except OSError as error:
            raise unusable(path, error) from error
