"""A side's detectors gate by gate: the slow twin of `bellwire.link.memory`."""

import random


def gate_by_gate(
    light: dict[int, int],
    pulses: int,
    dead: int,
    afterpulse: float,
    leak: float,
    rng: random.Random,
) -> list[tuple[int, int]]:
    """(slot, outcome) of every click that is registered.

    A trapped carrier comes free in each gate from the first live one on with probability `leak`.
    """
    registered = []
    live = 0
    trapped: list[int | None] = [None, None]  # first gate in which the carrier may come free
    for slot in range(pulses):
        fired = [light.get(slot) == d for d in range(2)]
        for d in range(2):
            since = trapped[d]
            if since is not None and slot >= since and rng.random() < leak:
                trapped[d] = None
                fired[d] = True
        if slot < live or not any(fired):
            continue
        bit = rng.getrandbits(1) if all(fired) else int(fired[1])
        registered.append((slot, bit))
        live = slot + 1 + dead
        if trapped[bit] is None and rng.random() < afterpulse:
            trapped[bit] = live
    return registered
