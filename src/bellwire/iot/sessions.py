"""The sessions that are running at a cloud: whose they are, and which must end.

A session outlives the handshake that proved who its device is. So it is looked at again: a device
that was taken off the list, or whose certificate is revoked or over, loses it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bellwire.channel.errors import CertificateRefused
from bellwire.channel.protections import Protections
from bellwire.iot.answering import Guests
from bellwire.iot.conversing import Conversation

CERTIFICATES_S: Final = 60.0
"""Certificates are checked again so often, and as soon as their list changes: their signatures are
verified, which takes a third of a millisecond each."""


@dataclass(frozen=True, slots=True)
class _Session:
    device: bytes
    certificate: bytes


class Sessions:
    """All that are running, the oldest first.

    Args:
        each: Sessions of one device at once; a further one ends its oldest.
        clock: Seconds, never going back.
    """

    def __init__(self, each: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = each
        self._clock = clock
        self._running: dict[Conversation, _Session] = {}
        self._of: dict[bytes, list[Conversation]] = {}
        self._unwelcome: list[Conversation] = []
        self._ended = False
        self._checked: tuple[object, float] | None = None

    def __len__(self) -> int:
        return len(self._running)

    @contextlib.contextmanager
    def running(
        self, conversation: Conversation, device: bytes, shown: Sequence[bytes]
    ) -> Iterator[None]:
        """Within, a session is one of these.

        Args:
            conversation: The session.
            device: Fingerprint of whose it is.
            shown: The certificates that counted in its handshake, if any.
        """
        own = self._of.setdefault(device, [])
        if len(own) >= self._each:
            own[0].stop()
        if self._ended:
            conversation.stop()
        own.append(conversation)
        self._running[conversation] = _Session(device, shown[-1] if shown else b"")
        try:
            yield
        finally:
            del self._running[conversation]
            own.remove(conversation)
            if not own:
                self._of.pop(device, None)

    def protections(self) -> dict[bytes, Protections]:
        """What the newest session of each device rests on now; it may be asked for in a thread."""
        newest = [(device, each) for device, own in list(self._of.items()) for each in own[-1:]]
        return {device: conversation.protections for device, conversation in newest}

    def look(self, guests: Guests) -> None:
        """Find those whose device may no longer come; it may be done in a thread."""
        now, stamp = self._clock(), None if guests.trust is None else guests.trust.stamp()
        again = self._checked is None or self._checked[0] != stamp
        certificates = again or now - (self._checked or (None, now))[1] >= CERTIFICATES_S
        if certificates:
            self._checked = (stamp, now)
        for conversation, session in list(self._running.items()):
            if session.certificate and not certificates:
                continue
            try:
                guests.still(session.device, session.certificate)
            except CertificateRefused:
                self._unwelcome.append(conversation)

    def stop_unwelcome(self) -> None:
        """End those that `look` found."""
        unwelcome, self._unwelcome = self._unwelcome, []
        for conversation in unwelcome:
            conversation.stop()

    def end(self) -> None:
        """End all, and those that come from here on."""
        self._ended = True
        self.stop_all()

    def stop_all(self) -> None:
        """End all that are running."""
        for conversation in self._running:
            conversation.stop()
