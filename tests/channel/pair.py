"""Two enrolled ends and a handshake between them, for tests."""

from dataclasses import dataclass, field

from bellwire.base.secret import Secret
from bellwire.channel.handshake import (
    Gate,
    GateLimits,
    Initiator,
    Policy,
    QkdKey,
    Responder,
    Retry,
    SessionOptions,
    Suite,
    fingerprint,
)
from bellwire.channel.session import Session
from bellwire.crypto.kem import XWingPrivateKey

DEVICE = XWingPrivateKey.from_seed(bytes([1]) * 32)
CLOUD = XWingPrivateKey.from_seed(bytes([2]) * 32)
STRANGER = XWingPrivateKey.from_seed(bytes([3]) * 32)
NAME = "cloud.test"
SOURCE = "192.0.2.7"


def qkd_key(byte: int = 0x51) -> QkdKey:
    return QkdKey(bytes([7]) * 16, Secret(bytes([byte]) * 32), "simulated")


@dataclass
class Pair:
    """Both ends before the first message; `run` carries it to the end."""

    policy: Policy = Policy.REQUIRE
    responder_policy: Policy = Policy.PREFER
    identity: XWingPrivateKey = DEVICE
    pinned: bytes = CLOUD.public_bytes
    pinned_name: str = NAME
    drawn: QkdKey | None = field(default_factory=qkd_key)
    fetched: QkdKey | None = field(default_factory=qkd_key)
    counter: int = 1
    last: int = 0
    suite: Suite = Suite.AES_256_GCM
    options: SessionOptions | None = None
    gate_limits: GateLimits | None = None

    def __post_init__(self) -> None:
        self.initiator = Initiator(
            identity=self.identity,
            responder_name=self.pinned_name,
            responder_public=self.pinned,
            policy=self.policy,
            qkd=self.drawn,
            counter=self.counter,
            suite=self.suite,
            options=self.options,
        )
        admitted = {
            fingerprint(DEVICE.public_bytes): DEVICE.public_bytes,
            fingerprint(CLOUD.public_bytes): CLOUD.public_bytes,
        }
        self.gate = Gate(CLOUD.public_bytes, limits=self.gate_limits)
        self.responder = Responder(
            identity=CLOUD,
            name=NAME,
            initiators=admitted.get,
            policy=self.responder_policy,
            last_counter=lambda _: self.last,
            options=self.options,
        )

    def answer(self, hello: bytes) -> bytes:
        admitted = self.gate.admit(hello, SOURCE, 0.0)
        assert not isinstance(admitted, Retry)
        offer = self.responder.receive_hello(admitted)
        return self.responder.answer(None if offer.key_id is None else self.fetched)

    def establish(self, answer: bytes) -> tuple[bytes, Session]:
        """The initiator's confirmation and session."""
        confirm, session = self.initiator.receive(answer)
        assert session is not None
        return confirm, session

    def run(self) -> tuple[Session, Session]:
        confirm, at_initiator = self.establish(self.answer(self.initiator.hello()))
        return at_initiator, self.responder.receive_confirmation(confirm)


def flip(message: bytes, bit: int) -> bytes:
    altered = bytearray(message)
    altered[bit // 8] ^= 1 << (bit % 8)
    return bytes(altered)
