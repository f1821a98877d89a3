"""Claims about the channel of a device and a cloud: both ends in memory, over a hostile wire."""

import random
from collections.abc import Callable
from typing import Final

from bellwire.base.errors import RefusedError
from bellwire.base.secret import Secret
from bellwire.channel.handshake import (
    Gate,
    Initiator,
    Policy,
    QkdKey,
    Responder,
    Retry,
    fingerprint,
)
from bellwire.channel.session import Session
from bellwire.claims.errors import ClaimFailed
from bellwire.claims.model import Attacker, Claim, Ground, refused, require
from bellwire.crypto.kem import XWingPrivateKey

NAME: Final = "cloud.example"
SOURCE: Final = "192.0.2.7"
BITS: Final = 24
FULL_BITS: Final = 600
RECORDS: Final = 20
TEXT: Final = b"21.5 degrees"

Alter = Callable[[bytes], bytes]


def _as_it_is(message: bytes) -> bytes:
    return message


class _Ends:
    """A device and a cloud that know each other, and what a wire does with their three messages."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.device, self.cloud = XWingPrivateKey.generate(), XWingPrivateKey.generate()
        for key in (self.device, self.cloud):
            ground.keep(key.seed)
        self._counter = 0

    def shake(  # noqa: PLR0917 - each message, and the two keys
        self,
        hello: Alter = _as_it_is,
        answer: Alter = _as_it_is,
        confirmation: Alter = _as_it_is,
        key: bytes | None = None,
        at_cloud: bytes | None = None,
        pinned: bytes | None = None,
    ) -> tuple[Session, Session]:
        """A handshake under a QKD key; both sessions.

        Raises:
            RefusedError: an end refuses.
        """
        self._counter += 1
        key = self._ground.draw(32) if key is None else key
        calling = Initiator(
            identity=self.device,
            responder_name=NAME,
            responder_public=pinned or self.cloud.public_bytes,
            policy=Policy.REQUIRE,
            qkd=_qkd(key),
            counter=self._counter,
        )
        called = Responder(
            identity=self.cloud,
            name=NAME,
            initiators={fingerprint(self.device.public_bytes): self.device.public_bytes}.get,
            policy=Policy.REQUIRE,
            last_counter=lambda _: 0,
        )
        admitted = Gate(self.cloud.public_bytes).admit(hello(calling.hello()), SOURCE, 0.0)
        if isinstance(admitted, Retry):
            raise ClaimFailed("a gate without load asks a device to come again")
        called.receive_hello(admitted)
        said, ours = calling.receive(answer(called.answer(_qkd(at_cloud or key))))
        theirs = called.receive_confirmation(confirmation(said))
        assert ours is not None, "a device that is refused has raised"
        return ours, theirs


def _qkd(key: bytes) -> QkdKey:
    return QkdKey(b"\x07" * 16, Secret(key), "simulated")


def _handshake(ground: Ground) -> str:
    ends = _Ends(ground)
    device, cloud = ends.shake()
    require(cloud.open(device.seal(TEXT)) == TEXT, "the cloud reads something else")
    require(device.open(cloud.seal(TEXT)) == TEXT, "the device reads something else")
    require(device.session_id == cloud.session_id, "the two ends are of different sessions")
    drawn = random.Random(ground.number("handshake"))  # noqa: S311 - which bit is no secret
    bits = FULL_BITS if ground.full else BITS

    def flip(message: bytes) -> bytes:
        at = drawn.randrange(8 * len(message))
        altered = bytearray(message)
        altered[at // 8] ^= 1 << at % 8
        return bytes(altered)

    for number in range(bits):
        which = ("hello", "answer", "confirmation")[number % 3]
        with refused(f"a bit of the {which} altered", RefusedError):
            ends.shake(**{which: flip})  # type: ignore[arg-type]  # the three are wires
    with refused("another QKD key at the cloud", RefusedError):
        ends.shake(at_cloud=ground.draw(32))
    with refused("another cloud than the pinned one", RefusedError):
        ends.shake(pinned=XWingPrivateKey.generate().public_bytes)
    protections = ", ".join(device.protections.names)
    return f"under {protections}: {bits} altered messages, another key and another cloud refused"


def _records(ground: Ground) -> str:
    ends = _Ends(ground)
    refusals = 0
    for what in ("altered", "repeated", "reordered", "left out", "reflected"):
        device, cloud = ends.shake()
        records = [device.seal(TEXT + bytes([number])) for number in range(RECORDS)]
        for record in records[: RECORDS // 2]:
            cloud.open(record)
        following = records[RECORDS // 2]
        bad = {
            "altered": bytes([*following[:-1], following[-1] ^ 1]),
            "repeated": records[RECORDS // 2 - 1],
            "reordered": records[RECORDS // 2 + 1],
            "left out": records[-1],
            "reflected": cloud.seal(TEXT),
        }[what]
        with refused(f"a record {what}", RefusedError):
            cloud.open(bad)
        with refused("the session after it", RefusedError):
            cloud.open(following)
        refusals += 1
    device, cloud = ends.shake()
    first, second = device.seal(TEXT), device.seal(TEXT)
    require(first != second and TEXT not in first, "equal texts look alike on the wire")
    return f"{refusals} kinds of interference refused, and each ends its session"


CLAIMS: Final = (
    Claim(
        name="channel.handshake",
        attacker=Attacker.DEVICE,
        says="A handshake with any bit altered, another QKD key or another cloud gives no session",
        run=_handshake,
    ),
    Claim(
        name="channel.records",
        attacker=Attacker.DEVICE,
        says="A record that is altered, repeated, reordered, left out or sent back is not taken",
        run=_records,
    ),
)
