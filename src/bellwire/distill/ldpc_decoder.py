"""Bob's half of reconciliation by a low-density code: finding the errors of each frame."""

import math

import numpy as np

from bellwire.base.bits import PackedBits, Words, binary_entropy
from bellwire.distill.kernels import ldpc as kernels
from bellwire.distill.kernels.check_nodes import LANES
from bellwire.distill.ldpc_code import ENSEMBLES
from bellwire.distill.ldpc_frames import WHOLE, Frames, as_bytes

_SWEEPS = 80
"""Tries at a frame; nearly all that decode at all do so in half of them."""

_LEAST_PRIOR, _MOST_PRIOR = 8, 25
"""A bit whose belief is less moves too easily; one that has more cannot be overruled by a check."""

_BELIEVED = 1.3
"""The error rate that parities show is rough: the estimate serves, unless it is so far off."""

_LEAST_RATE, _MOST_RATE = 1e-3, 0.25

_STEP = 32
"""A frame that failed asks for at least one part in so many more checks, twice; then for more."""

_HOPELESS = 0.95
"""Of Shannon's limit, at the error rate that the parities show; with less it is not tried."""

_AIM = 1.06
"""Of that limit: what a frame asks for that fails with less."""


class Decoder:
    """Finds which bits differ from Alice's.

    Args:
        frames: Bob's.
        size: Bits of the key.
        qber: Public estimate.

    Attributes:
        errors: Bits of the key found to differ.
    """

    def __init__(self, frames: Frames, size: int, qber: float) -> None:
        plan = frames.plan
        self._frames = frames
        self._qber = max(qber, _LEAST_RATE)
        self._tries = [0] * plan.frames
        self._differ = [np.zeros(0, np.uint64) for _ in range(plan.frames)]
        self._checksums = [b""] * plan.frames
        self.errors = PackedBits.zeros(size)
        self._beliefs = np.empty(plan.columns * LANES * (plan.width + 1), np.int8)
        self._found = np.empty(plan.columns * plan.width, np.uint64)

    def take(self, message: bytes) -> list[int]:
        """Take Alice's announcement; gives what each open frame asks for now, 0 if it is decoded.

        Raises:
            MalformedMessage: it is not what was asked for.
        """
        frames = self._frames
        asked = []
        for j, (checksum, told) in frames.parse(message).items():
            ours = frames.bits(j)
            self._checksums[j] = checksum or self._checksums[j]
            if frames.asked[j] == WHOLE:
                self._keep(j, ours[: told.size] ^ told)
                continue
            first = frames.checks[j] - told.size
            fresh = told ^ frames.parities(ours, first, told.size)
            self._differ[j] = np.concatenate([self._differ[j], fresh])
            asked.append(self._try(j))
        return asked

    def _try(self, j: int) -> int:
        frames, differ = self._frames, self._differ[j]
        rate = self._rate(differ)
        needed = frames.sizes[j] * binary_entropy(rate)
        if 64 * differ.size >= _HOPELESS * needed and self._decode(j, differ, rate):
            return 0
        enough = math.ceil(_AIM * needed / 64.0) - differ.size
        more = max(1 + (differ.size << max(0, self._tries[j] - 1)) // _STEP, enough)
        self._tries[j] += 1
        return more if more <= frames.room(j) else WHOLE

    def _rate(self, differ: Words) -> float:
        """The error rate at which so many checks of a few bits each are odd."""
        plan, graph = self._frames.plan, self._frames.graph
        odd = int(np.bitwise_count(differ).sum()) / (64 * differ.size)
        bits = graph.entries(differ.size, plan.width) / differ.size
        return 0.5 * (1.0 - math.pow(1.0 - 2.0 * min(odd, 0.5), 1.0 / bits))

    def _decode(self, j: int, differ: Words, rate: float) -> bool:
        plan, graph, size = self._frames.plan, self._frames.graph, self._frames.sizes[j]
        said = np.empty(LANES * graph.entries(differ.size, plan.width), np.int8)
        units = ENSEMBLES[plan.ensemble].units_per_nat
        likely = self._qber
        if not likely / _BELIEVED <= rate <= likely * _BELIEVED:
            likely = min(max(rate, _LEAST_RATE), _MOST_RATE)
        # What a frame ran astray with may not be what it does so with again.
        prior = round(units * math.log((1.0 - likely) / likely)) + self._tries[j] % 2
        prior = min(max(prior, _LEAST_PRIOR), _MOST_PRIOR)
        sweeps = kernels.decode(
            plan.width, graph.ptr, graph.col, graph.shift, differ, prior, size, _SWEEPS,
            self._beliefs, said, self._found,
        )  # fmt: skip
        ours = self._frames.bits(j)
        if sweeps == 0 or self._frames.checksum(j, ours ^ self._found) != self._checksums[j]:
            return False
        words = self._frames.words(j).size
        if int.from_bytes(as_bytes(self._found), "little") >> size:
            return False  # a place that holds no key bit
        self._keep(j, self._found[:words])
        return True

    def _keep(self, j: int, wrong: Words) -> None:
        self.errors.words[self._frames.words(j)] = self._frames.turned(j, wrong, back=True)
