"""Keys of random words that kernels draw by number, and which way this machine computes them.

The words are AES-128 in counter mode (`bellwire.crypto.kernels.aes`): 128-bit security, as long as
a key makes far fewer than 2⁶⁴ blocks. All ways give the same words, so that a seed gives the same
result everywhere. The rule is one: the first of `Generator` that Numba compiles for here.
"""

from enum import StrEnum
from functools import cache

from numba.core.registry import cpu_target

from bellwire.crypto.errors import GeneratorUnavailable
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kernels.aes import AesNi, Key, Portable, Vaes256, Vaes512, expand
from bellwire.crypto.stream import SEED_BYTES


class Generator(StrEnum):
    """How AES is computed, fastest first."""

    VAES_512 = "vaes-512"
    VAES_256 = "vaes-256"
    AES_NI = "aes-ni"
    PORTABLE = "portable"


_KINDS: dict[Generator, tuple[type[Key], frozenset[str]]] = {
    Generator.VAES_512: (Vaes512, frozenset({"vaes", "avx512f"})),
    Generator.VAES_256: (Vaes256, frozenset({"vaes", "avx"})),
    Generator.AES_NI: (AesNi, frozenset({"aes"})),
    Generator.PORTABLE: (Portable, frozenset()),
}


@cache
def available() -> tuple[Generator, ...]:
    """What works here, fastest first.

    It goes by what Numba compiles for, which `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` can make
    less than the processor has.
    """
    _, _, flags = cpu_target.target_context.codegen().magic_tuple()
    return permitted(flags)


def permitted(flags: str) -> tuple[Generator, ...]:
    """What works with these features of a processor, as LLVM writes them: `+aes,-vaes`."""
    features = {flag[1:] for flag in flags.split(",") if flag.startswith("+")}
    return tuple(each for each, (_, needed) in _KINDS.items() if needed <= features)


def counter_key(seed: bytes, label: str, generator: Generator | None = None) -> Key:
    """The key of one stream; secret. One seed serves any number of purposes, by their labels.

    Args:
        seed: 32 bytes, else ValueError. Secret.
        label: What the stream is for.
        generator: How to compute it; None for the fastest. The words do not depend on it.

    Raises:
        GeneratorUnavailable: this machine has not the instructions.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
    here = available()
    chosen = here[0] if generator is None else generator
    if chosen not in here:
        raise GeneratorUnavailable(chosen, here)
    kind, _ = _KINDS[chosen]
    return kind(expand(hkdf(seed, info=b"bellwire counter " + label.encode(), length=16)))
