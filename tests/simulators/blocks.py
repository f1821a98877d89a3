"""A whole block between two sides in one process, reproducible, for tests to spoil at will."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from tests.simulators.decoys import RECTILINEAR, decoy_light
from tests.simulators.halves import halves as photons

from bellwire.base.decoys import Decoys
from bellwire.base.detections import Half, Protocol, Side
from bellwire.crypto.one_time_mac import tag
from bellwire.distill.conversation import BlockAuthentication
from bellwire.distill.messages import TICKET_BYTES, VERSION, Open, Received, encode
from bellwire.distill.planes import Planes
from bellwire.distill.session import Session
from bellwire.lab.pair import PairOutcome, Wire, derive_authentication, distil, faithful

SMALL = {
    Protocol.BB84: 20_000,
    Protocol.BBM92: 20_000,
    Protocol.E91: 60_000,
    Protocol.DECOY: 500_000,
}
"""Pulses of a block that still gives key."""

STANDARD = Open(
    VERSION, 1, False, Protocol.BB84, 20_000, bytes(TICKET_BYTES), 0.2, 1e-10, 0.11, 2.2
)


def opening(protocol: Protocol = Protocol.BB84, pulses: int | None = None, **changes: Any) -> Open:
    """An opening with everything at its default but what is named."""
    size = SMALL[protocol] if pulses is None else pulses
    if protocol.weak:
        changes = {"rectilinear": RECTILINEAR, "decoys": Decoys(), **changes}
    return msgspec.structs.replace(STANDARD, protocol=protocol, pulses=size, **changes)


def clean_halves(protocol: Protocol, pulses: int, rng: np.random.Generator) -> dict[Side, Half]:
    """A clean block of any protocol at 2 % QBER."""
    if protocol.weak:
        return decoy_light(pulses, rng).halves
    return photons(protocol, pulses, rng)


def tags(seed: int = 0) -> BlockAuthentication:
    """Tag keys of a block, the same for both sides."""
    return derive_authentication(seed.to_bytes(32, "big"))


def reader(seed: int, side: Side) -> Callable[[int], bytes]:
    """Public randomness of one side."""
    return random.Random(f"{seed} {side}").randbytes


def session(side: Side, block: Open, *, seed: int = 0) -> Session:
    """One side's session of a block."""
    return Session(side, block, None if block.probe else tags(block.number), reader(seed, side))


def run(
    block: Open,
    halves: Mapping[Side, Half | Planes] | None = None,
    *,
    seed: int = 0,
    wire: Wire = faithful,
    authentication: dict[Side, BlockAuthentication | None] | None = None,
) -> PairOutcome:
    """Run a block; clean light at 2 % unless halves are given."""
    common = None if block.probe else tags(block.number)
    return distil(
        dict.fromkeys(Side, block),
        halves or clean_halves(block.protocol, block.pulses, np.random.default_rng(seed)),
        authentication or dict.fromkeys(Side, common),
        {side: reader(seed, side) for side in Side},
        wire,
    )


@dataclass
class Recorder:
    """A faithful wire that remembers what each side said, step by step."""

    said: dict[Side, list[bytes]] = field(default_factory=lambda: {side: [] for side in Side})

    def __call__(self, sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        assert step == len(self.said[sender])
        self.said[sender].append(body)
        return [(step, body)]


def replacing(sender: Side, step: int, instead: Callable[[bytes], bytes]) -> Wire:
    """A wire that changes one message."""

    def wire(who: Side, at: int, body: bytes) -> list[tuple[int, bytes]]:
        return [(at, instead(body) if (who, at) == (sender, step) else body)]

    return wire


def received(block: Open, sender: Side, slots: bytes, keys: BlockAuthentication) -> bytes:
    """Step 1 with a valid tag over any list: what a peer that lies can say."""
    context = b"bellwire received " + sender.encode() + encode(block)
    return encode(
        Received(slots, tag(keys.hash_keys[sender], keys.received_pads[sender], context + slots))
    )
