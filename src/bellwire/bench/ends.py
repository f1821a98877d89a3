"""A device and a cloud that know each other, for measurements of the channel.

Each has the QKD keys at hand, so that a handshake costs what its ends compute.
"""

from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.handshake import (
    Gate,
    GateLimits,
    Initiator,
    Policy,
    QkdKey,
    Responder,
    Resumer,
    ResumptionResponder,
    Retry,
    fingerprint,
)
from bellwire.channel.macs import Hello
from bellwire.channel.session import Session
from bellwire.crypto.kem import XWingPrivateKey, XWingPublicKey

NAME: Final = "cloud"
SOURCE: Final = "192.0.2.1"
OPEN: Final = GateLimits(1e9, 1e9, 1e9, 1e9)


@dataclass(frozen=True, slots=True)
class Shaken:
    """Both ends of a session, and the bytes of its handshake."""

    device: Session
    cloud: Session
    handshake_bytes: int


class KnownEnds:
    """Both ends; keys are loaded once, as by a process that runs."""

    def __init__(self) -> None:
        self.device = XWingPrivateKey.generate()
        self.cloud = XWingPrivateKey.generate()
        self._pin = XWingPublicKey(self.cloud.public_bytes)
        self._gate = Gate(self.cloud.public_bytes, limits=OPEN)
        known = {fingerprint(self.device.public_bytes): self.device.public_bytes}
        self._initiators = known.get
        self._counter = 0

    def initiator(self) -> Initiator:
        """The device, about to call with its next QKD key."""
        self._counter += 1
        return Initiator(
            identity=self.device,
            responder_name=NAME,
            responder_public=self._pin,
            policy=Policy.REQUIRE,
            qkd=key_of(self._counter.to_bytes(16, "big")),
            counter=self._counter,
        )

    def responder(self) -> Responder:
        """The cloud, about to be called."""
        return Responder(
            identity=self.cloud,
            name=NAME,
            initiators=self._initiators,
            policy=Policy.REQUIRE,
            last_counter=lambda _: 0,
        )

    def admit(self, hello: bytes) -> Hello:
        """What the cloud's gate says of a hello."""
        admitted = self._gate.admit(hello, SOURCE, 0.0)
        assert not isinstance(admitted, Retry)
        return admitted

    def shake_hands(self) -> Shaken:
        """A full handshake with a QKD key, in memory."""
        initiator, responder = self.initiator(), self.responder()
        hello = initiator.hello()
        offer = responder.receive_hello(self.admit(hello))
        answer = responder.answer(key_of(offer.key_id))
        confirm, session = initiator.receive(answer)
        assert session is not None
        cloud = responder.receive_confirmation(confirm)
        return Shaken(session, cloud, len(hello) + len(answer) + len(confirm))

    def resume(self, before: Shaken) -> Shaken:
        """The next session, by the ticket of this one."""
        self._counter += 1
        resumer = Resumer(
            ticket=before.device.ticket,
            own_public=self.device.public_bytes,
            responder_name=NAME,
            responder_public=self.cloud.public_bytes,
            policy=Policy.REQUIRE,
            qkd=key_of(self._counter.to_bytes(16, "big")),
        )
        hello = resumer.hello()
        responder = ResumptionResponder(
            self.admit(hello),
            before.cloud.ticket,
            name=NAME,
            own_public=self.cloud.public_bytes,
            policy=Policy.REQUIRE,
        )
        answer = responder.answer(key_of(responder.receive_hello()))
        confirm, session = resumer.receive(answer)
        assert session is not None
        cloud = responder.receive_confirmation(confirm)
        return Shaken(session, cloud, len(hello) + len(answer) + len(confirm))


def key_of(key_id: bytes | None) -> QkdKey:
    """The QKD key of an id, which both ends know here."""
    assert key_id is not None
    return QkdKey(key_id, Secret(key_id + key_id), "simulated")
