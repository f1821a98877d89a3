"""E91 from a source of several pairs over a lossy link: detections a second on one core, both kept.

The alternative is what one would write first: a Python loop over the windows that draws the number
of pairs and the fate of every photon from `random`.
"""

import math
import random
import time

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Protocol
from bellwire.bench.model import Figure
from bellwire.link.config import LinkConfig
from bellwire.link.pair_stream import PairBlock, PairStream
from bellwire.link.pair_theory import coincidence_probability, detection_probability
from bellwire.link.pairs import PairSource

AGAINST = "plain Python loop over windows and photons, in this run"
SOURCE = PairSource(0.05)
CONFIG = LinkConfig(detector_efficiency=0.2, dark_count_probability=1e-6)
SEED = bytes([7]) * 32


def run(quick: bool = False) -> list[Figure]:
    """Measure windows with a detection per second at 0.05 pairs a window, both sides seeing 20 %.

    Args:
        quick: A tenth of the windows.
    """
    windows = 50_000_000 if quick else 500_000_000
    light = Protocol.E91, CONFIG, SOURCE
    rate = 2.0 * detection_probability(*light) - coincidence_probability(*light)
    ours, few = _rate(windows) * rate, 100_000
    began = time.process_time()
    plain(few)
    theirs = few * rate / (time.process_time() - began)
    return [Figure("e91_lossy_events_per_s", ours, "detections/s (μ 0.05)", AGAINST, ours / theirs)]


def _rate(windows: int) -> float:
    """Windows a second of processor time, the best of three runs."""
    stream, best = PairStream(Protocol.E91, CONFIG, SOURCE, None, SEED), math.inf
    stream.block(stream.start(), 1000)
    for _ in range(3):
        kept: list[PairBlock] = []
        state = stream.start()
        began = time.process_time()
        for _ in range(10):
            block, state = stream.block(state, windows // 10)
            kept.append(block)
        best = min(best, time.process_time() - began)
    return windows // 10 * 10 / best


def plain(windows: int) -> dict[tuple[int, int, int | None, int | None], int]:
    """Counts by Alice's setting, Bob's, her outcome, his; None where a side registers nothing."""
    rng = random.Random(1)  # noqa: S311 - the plain alternative, no key comes of it
    counts: dict[tuple[int, int, int | None, int | None], int] = {}
    for _ in range(windows):
        a, b = rng.randrange(3), rng.randrange(3)
        fired = [[rng.random() < CONFIG.dark_count_probability for _ in range(2)] for _ in range(2)]
        more = SOURCE.mean_pairs / (1.0 + SOURCE.mean_pairs)
        while rng.random() < more:
            x = rng.getrandbits(1)
            c = CONFIG.visibility * math.cos(ALICE_ANGLES[a] - BOB_ANGLES[b])
            for side, outcome in enumerate((x, x ^ (rng.random() < (1.0 - c) / 2.0))):
                if rng.random() < CONFIG.detector_efficiency:
                    fired[side][outcome] = True
        read = (
            None if not any(clicks) else rng.getrandbits(1) if all(clicks) else int(clicks[1])
            for clicks in fired
        )
        x_read, y_read = read
        if x_read is None and y_read is None:
            continue
        cell = (a, b, x_read, y_read)
        counts[cell] = counts.get(cell, 0) + 1
    return counts
