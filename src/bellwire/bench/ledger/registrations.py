"""How many newcomers a server of admission takes in, by its own rules; in a process of its own.

What is timed is all that the server does for one: its challenge, the echoes that time its
connection, the proofs of five keys, the verdict, the register and what waits for the log (durable),
and the certificate. Not in it: HTTP, and what newcomers compute.
"""

import asyncio
import ipaddress
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bellwire.admission.client import ECHOES
from bellwire.admission.desk import MOST_AT_ONCE
from bellwire.admission.evidence import Address, Claim
from bellwire.admission.possession import PUBLIC_BYTES, PrivateKey, generate, prove, public_bytes
from bellwire.admission.register import Gate, Register
from bellwire.admission.service import Admission, Asked
from bellwire.node import logs
from bellwire.pki.authority import Authority

_NAME: Final = "admission.bench"
_FIRST: Final = ipaddress.IPv4Address("10.0.0.1")


@dataclass(slots=True)
class _Spent:
    """Seconds of the clock, and of the processor."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    _began: tuple[float, float] = (0.0, 0.0)

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall_s += time.perf_counter() - self._began[0]
        self.cpu_s += time.process_time() - self._began[1]


class Took(msgspec.Struct, frozen=True):
    """Seconds that all registrations took: of the clock, and of the processor."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """`FOLDER COUNT` → `Took` as JSON on standard output.

    So many newcomers, each with a key of every kind, come in groups at once.
    """
    logs.setup("error")
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    authority = Authority(folder / "ca", "a")
    authority.create()
    register = Register(folder / "admission", recorded=True)
    try:
        spent = asyncio.run(_all(Admission(_NAME, register, authority, gate=Gate.OPEN), count))
    finally:
        register.close()
    sys.stdout.write(msgspec.json.encode(Took(spent.wall_s, spent.cpu_s)).decode())


async def _all(admission: Admission, count: int) -> _Spent:
    spent = _Spent()
    for first in range(0, count, MOST_AT_ONCE):
        group = [_Newcomer(number) for number in range(first, min(count, first + MOST_AT_ONCE))]
        for each in group:
            with spent:
                pending = admission.challenge(each.handle, each.public, each.address)
                word = pending.word
                for _ in range(ECHOES):
                    word = admission.echo(pending.id, word, each.address)
            challenge = pending.challenge
            each.answer(pending.id, challenge.nonce, dict(challenge.ciphertexts))
        with spent:
            await asyncio.gather(*(admission.enter(each.asked, each.address) for each in group))
    return spent


class _Newcomer:
    """Its keys, and what it says."""

    asked: Asked

    def __init__(self, number: int) -> None:
        self.handle = f"newcomer-{number}"
        self.address: Address = _FIRST + number
        self._private: dict[str, PrivateKey] = {kind: generate(kind) for kind in PUBLIC_BYTES}
        self.public = {kind: public_bytes(each) for kind, each in self._private.items()}

    def answer(self, challenge: bytes, nonce: bytes, ciphertexts: dict[str, bytes]) -> None:
        proofs = prove(_NAME, self.handle, self._private, nonce, ciphertexts)
        claim = Claim(0.0, 0.0, self.address)
        self.asked = Asked(self.handle, self.public, claim, challenge, proofs, None)
