"""The symmetric Cascade in plain Python: the slow twin of `bellwire.distill.cascade`.

Nothing here is remembered between rounds but the transcript: which intervals are known and what
their differences are. Parities are counted bit by bit, known intervals are a sorted list of cut
points, and membership in a colour or mask is looked up place by place. It shares only the layout
and the public random streams with the engine, and must send the same bytes.
"""

from bisect import bisect_right
from collections.abc import Generator

from bellwire.base.bits import Bits, pack, unpack
from bellwire.crypto.stream import KeyStream
from bellwire.distill.layout import layout

COLOURS = 16
MASKS = 16
ROWS = 64

Talk = Generator[list[int], list[int], None]
"""Yields parities of ours, is sent how they differ from the peer's."""


def by_columns(size: int, rows: int, turns: list[int]) -> list[int]:
    """For each place of an order, which place it is taken from."""
    width = size // rows
    return [r * width + (c - turns[r]) % width for c in range(width) for r in range(rows)]


def turns_of(seed: bytes, label: str, rows: int, size: int) -> list[int]:
    words = KeyStream(seed, label).words(0, rows).tolist()
    return [word * (size // rows) // 2**32 for word in words]


def planes(seed: bytes, label: str, count: int, size: int) -> list[list[int]]:
    """`count` strings of `size` bits."""
    bits = unpack(KeyStream(seed, label).at(0, count * size // 8).tobytes(), count * size)
    return [bits[i * size : (i + 1) * size].tolist() for i in range(count)]


class SlowFrame:
    """One frame: its orders, its sets, and what is known of them."""

    def __init__(
        self, bits: list[int], sizes: tuple[int, int], seed: bytes, key_bits: int, *, corrects: bool
    ) -> None:
        self.corrects = corrects
        self.key_bits = key_bits
        self.sent = 0
        self.told = False
        n = self.n = len(bits)
        self.first = by_columns(n, ROWS, turns_of(seed, "cascade order 1", ROWS, n))
        self.bits = [bits[p] for p in self.first]
        second = by_columns(n, sizes[1], turns_of(seed, "cascade order 2", sizes[1], n))
        self.orders = [list(range(n)), second]
        colour = planes(seed, "cascade colours", 4, n)
        colours = [sum(colour[b][p] << b for b in range(4)) for p in range(n)]
        masks = planes(seed, "cascade masks", MASKS, n)
        self.sets = [[p for p in range(n) if colours[p] == c] for c in range(COLOURS)]
        self.sets += [[p for p in range(n) if mask[p]] for mask in masks]
        # Per order: cut points, and the difference that the opening or a search gave per interval.
        self.cuts = [list(range(0, n, k)) for k in sizes]
        self.known: list[dict[int, int]] = [{}, {}]
        self.set_known: list[int] = []
        self.found: set[int] = set()

    def parity(self, places: list[int]) -> int:
        return sum(self.bits[p] for p in places) % 2

    def said(self, places: list[int]) -> int:
        """The parity to announce: of our bits as they are by now."""
        return self.parity(places) ^ (self.left(places) if self.corrects else 0)

    def left(self, places: list[int]) -> int:
        """Errors found among places, modulo 2."""
        return sum(p in self.found for p in places) % 2

    def span(self, at: int, start: int) -> tuple[int, int]:
        cuts = self.cuts[at]
        i = bisect_right(cuts, start)
        return cuts[i - 1], cuts[i] if i < len(cuts) else self.n

    def odd(self, at: int) -> list[tuple[int, int]]:
        spans = [self.span(at, start) for start in self.cuts[at]]
        order = self.orders[at]
        return [s for s in spans if self.known[at][s[0]] ^ self.left(order[s[0] : s[1]])]

    def opening(self) -> tuple[list[int], list[int], list[int]]:
        """Parities of both orders' blocks and of the sets, as far as they are announced."""
        blocks = [
            [self.parity(order[lo:hi]) for lo, hi in (self.span(at, start) for start in cuts)]
            for at, (order, cuts) in enumerate(zip(self.orders, self.cuts, strict=True))
        ]
        members = [self.parity(places) for places in self.sets]
        return blocks[0], blocks[1][:-1], members[: COLOURS - 1] + members[COLOURS:]

    def take_opening(self, first: list[int], second: list[int], sets: list[int]) -> None:
        total = sum(first) % 2
        second = [*second, (total + sum(second)) % 2]
        for at, differs in enumerate((first, second)):
            self.known[at] = dict(zip(self.cuts[at], differs, strict=True))
        colours = sets[: COLOURS - 1]
        self.set_known = [*colours, (total + sum(colours)) % 2, *sets[COLOURS - 1 :]]

    def within_budget(self, parities: list[int], *, last: bool) -> list[int]:
        """What to announce: the parities, or every bit if that is more than is left."""
        if last or self.sent + len(parities) > self.key_bits:
            self.told = True
            return [self.said([p]) for p in range(self.n)]
        return parities

    def take(self, talk: Talk, differs: list[int]) -> list[int] | None:
        if self.told:
            self.found ^= {p for p, d in enumerate(differs) if d}
            return None
        try:
            return talk.send(differs)
        except StopIteration:
            return None

    def talk(self) -> Talk:
        while True:
            uneven = [at for at in range(2) if self.odd(at)]
            if uneven:
                yield from self.search_order(uneven[0])
                continue
            odd = [s for s, places in enumerate(self.sets) if self.set_known[s] ^ self.left(places)]
            colours = [s for s in odd if s < COLOURS]
            if not odd:
                return
            yield from self.search_sets(colours or odd[:1])

    def search_order(self, at: int) -> Talk:
        order = self.orders[at]
        spans = self.odd(at)
        while spans:
            # Those of the same batch do not meet, so what is left to search has not changed.
            self.found ^= {order[lo] for lo, hi in spans if hi - lo == 1}
            spans = [s for s in spans if s[1] - s[0] > 1]
            if not spans:
                break
            lefts = [order[lo : (lo + hi) // 2] for lo, hi in spans]
            differences = yield [self.said(left) for left in lefts]
            halves = []
            for (lo, hi), left, remains in zip(spans, lefts, differences, strict=True):
                mid = (lo + hi) // 2
                whole, differs = self.known[at][lo], remains ^ self.left(left)
                self.cuts[at].insert(bisect_right(self.cuts[at], mid), mid)
                self.known[at][lo] = differs
                self.known[at][mid] = whole ^ differs
                halves.append((lo, mid) if remains else (mid, hi))
            spans = halves

    def search_sets(self, chosen: list[int]) -> Talk:
        searches = [(s, (0, self.n)) for s in chosen]
        while searches:
            lefts = [
                [p for p in self.sets[s] if lo <= p < middle(lo, hi)] for s, (lo, hi) in searches
            ]
            differences = yield [self.said(left) for left in lefts]
            halves = []
            for (s, (lo, hi)), remains in zip(searches, differences, strict=True):
                half = (lo, middle(lo, hi)) if remains else (middle(lo, hi), hi)
                halves.append((s, self.members_only(s, *half)))
            self.found ^= {lo for _, (lo, hi) in halves if hi - lo == 1}
            searches = [each for each in halves if each[1][1] - each[1][0] > 1]

    def members_only(self, s: int, lo: int, hi: int) -> tuple[int, int]:
        while 1 < hi - lo <= 64:
            mid = (lo + hi) // 2
            left = any(lo <= p < mid for p in self.sets[s])
            right = any(mid <= p < hi for p in self.sets[s])
            if left == right:
                break
            lo, hi = (lo, mid) if left else (mid, hi)
        return lo, hi


def middle(lo: int, hi: int) -> int:
    """Between words as long as there are two of them."""
    if hi - lo > 64:
        return lo + max(64, (hi - lo) // 128 * 64)
    return (lo + hi) // 2


class SlowCascade:
    """One side's engine, driven like the real one by a peer that does not lie."""

    def __init__(self, key: Bits, qber: float, seed: bytes, *, corrects: bool) -> None:
        self.key = key.tolist()
        self.corrects = corrects
        plan = layout(key.size, qber)
        self.max_rounds = 1 if plan is None else plan.max_rounds
        self.frames: list[SlowFrame] = []
        if plan is not None:
            bits = self.key + [0] * (plan.frames * plan.frame - key.size)
            self.frames = [
                SlowFrame(
                    bits[at : at + plan.frame],
                    (plan.first, plan.second),
                    seed,
                    max(0, min(plan.frame, key.size - at)),
                    corrects=corrects,
                )
                for at in range(0, len(bits), plan.frame)
            ]
        self.bare: list[int] = []
        self.rounds = 0
        self.messages = self._messages()
        self.inbox = b""

    def first(self) -> bytes:
        return next(self.messages)

    def receive(self, message: bytes) -> bytes | None:
        self.inbox = message
        return next(self.messages, None)

    @property
    def leaked(self) -> int:
        if not self.frames:
            return len(self.key)
        return sum(min(frame.sent, frame.key_bits) for frame in self.frames)

    @property
    def errors(self) -> set[int]:
        found = {p for p, differs in enumerate(self.bare) if differs}
        for f, frame in enumerate(self.frames):
            found |= {f * frame.n + frame.first[p] for p in frame.found}
        return found

    @property
    def corrected(self) -> list[int]:
        errors = self.errors if self.corrects else set()
        return [bit ^ (p in errors) for p, bit in enumerate(self.key)]

    def _exchange(self, parities: list[int]) -> Generator[bytes, None, list[int]]:
        self.rounds += 1
        value = sum(bit << i for i, bit in enumerate(parities))
        count = len(parities)
        yield pack(unpack(value.to_bytes((count + 7) // 8, "little"), count))
        theirs = unpack(self.inbox, count).tolist()
        return [a ^ b for a, b in zip(parities, theirs, strict=True)]

    def _messages(self) -> Generator[bytes, None, None]:
        if not self.frames:
            self.bare = yield from self._exchange(self.key)
            return
        openings = [frame.opening() for frame in self.frames]
        lengths = [len(part) for part in openings[0]]
        said = [bit for part in range(3) for opening in openings for bit in opening[part]]
        rest = iter((yield from self._exchange(said)))
        taken = [[[next(rest) for _ in range(size)] for _ in self.frames] for size in lengths]
        talks = []
        for f, frame in enumerate(self.frames):
            frame.take_opening(*(part[f] for part in taken))
            frame.sent = sum(lengths)
            talk = frame.talk()
            talks.append((frame, talk, next(talk, None)))
        while asked := [each for each in talks if each[2] is not None]:
            last = self.rounds == self.max_rounds
            ours = [frame.within_budget(parities or [], last=last) for frame, _, parities in asked]
            for (frame, _, _), part in zip(asked, ours, strict=True):
                frame.sent += len(part)
            differences = iter((yield from self._exchange([bit for part in ours for bit in part])))
            talks = [
                (frame, talk, frame.take(talk, [next(differences) for _ in part]))
                for (frame, talk, _), part in zip(asked, ours, strict=True)
            ]
