"""The packed engine slot by slot: the slow twin of `bellwire.link.packed`, bit for bit.

AES comes from `cryptography`, one block at a time; a Bernoulli bit is all 48 digits of a number
compared with its threshold at once; settings and bits are plain integers. It shares the places
where a slot's digits lie in each stream, and nothing of how they are used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bellwire.crypto.kdf import hkdf

DIGITS = 48
HALF = 1 << (DIGITS - 1)
GROUP = 4096
ROWS = 64
CHOICE, DIGIT, OUTCOME = 0, 1, 63


class Stream:
    """One party's random bits: a bit for each slot and row."""

    def __init__(self, seed: bytes, whose: str) -> None:
        key = hkdf(seed, info=f"bellwire counter packed {whose}".encode(), length=16)
        self._encrypt = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()
        self._block = lru_cache(1 << 16)(self._made)

    def _made(self, number: int) -> int:
        return int.from_bytes(self._encrypt.update(number.to_bytes(16, "little")), "little")

    def bit(self, slot: int, row: int) -> int:
        group, lane = divmod(slot, GROUP)
        at = (group * ROWS + row) * GROUP + lane
        return self._block(at // 128) >> (at % 128) & 1

    def below(self, slot: int, threshold: int) -> int:
        """Whether the slot's number of 48 digits is below the threshold."""
        number = 0
        for k in range(DIGITS):
            number = 2 * number + self.bit(slot, DIGIT + k)
        return int(number < threshold)

    def setting(self, slot: int, settings: int) -> int:
        if settings == 3 and self.below(slot, (1 << DIGITS) // 3):
            return 2
        return self.bit(slot, CHOICE)


@dataclass(frozen=True)
class Slot:
    """What everybody has of one slot; Eve's is (touched, basis, bit)."""

    alice: tuple[int, int]
    bob: tuple[int, int]
    eve: tuple[int, int, int] | None = None


def correlated(
    protocol: str,
    seeds: Sequence[bytes],
    differ: Callable[[int, int], float],
    slots: Sequence[int],
) -> list[Slot]:
    """Slots of pairs, or of pulses: outcomes differ with a probability of the two settings."""
    settings = 3 if protocol == "e91" else 2
    alice, bob, noise = _streams(protocol, seeds)
    source = alice if protocol == "bb84" else noise
    made = []
    for slot in slots:
        a, b = alice.setting(slot, settings), bob.setting(slot, settings)
        x = source.bit(slot, OUTCOME)
        threshold = round(differ(a, b) * 2**DIGITS)
        if threshold > HALF:
            y = 1 - x ^ noise.below(slot, 2**DIGITS - threshold)
        else:
            y = x ^ noise.below(slot, threshold)
        made.append(Slot((a, x), (b, y)))
    return made


def intercepted(
    protocol: str, seeds: Sequence[bytes], share: float, error: float, slots: Sequence[int]
) -> list[Slot]:
    """Slots of which Eve measures a share in one of two bases, and sends on what she found."""
    alice, bob, noise = _streams(protocol, seeds)
    her = Stream(seeds[2], f"{protocol} eve")
    source = alice if protocol == "bb84" else noise
    made = []
    for slot in slots:
        a, b, x = alice.setting(slot, 2), bob.setting(slot, 2), source.bit(slot, OUTCOME)
        sent_in, sent, eve = a, x, (0, 0, 0)
        if share == 1 or her.below(slot, round(share * 2**DIGITS)):
            basis = her.setting(slot, 2)
            found = x if basis == a else x ^ her.bit(slot, OUTCOME)
            sent_in, sent, eve = basis, found, (1, basis, found)
        chance = error if sent_in == b else 0.5
        y = sent ^ noise.below(slot, round(chance * 2**DIGITS))
        made.append(Slot((a, x), (b, y), eve))
    return made


def _streams(protocol: str, seeds: Sequence[bytes]) -> tuple[Stream, Stream, Stream]:
    alice, bob, noise = seeds
    return (
        Stream(alice, f"{protocol} alice"),
        Stream(bob, f"{protocol} bob"),
        Stream(noise, f"{protocol} noise"),
    )
