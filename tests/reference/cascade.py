"""The symmetric Cascade in plain Python: the slow twin of `bellwire.distill.cascade`.

Nothing here is remembered between rounds but the transcript: which intervals are known and what
their differences are. Parities are counted bit by bit, known intervals are a sorted list of cut
points, and membership in a colour or mask is looked up position by position. It shares only the
block sizes and the public random words with the engine, and must send the same bytes.
"""

from bisect import bisect_right
from collections.abc import Iterator

from bellwire.base.bits import Bits, pack, unpack
from bellwire.crypto.stream import KeyStream
from bellwire.distill.passes import block_sizes

COLOURS = 16
MASKS = 20


def fisher_yates(words: list[int]) -> list[int]:
    """Permutation from one 32-bit word per position, from the last position down."""
    order = list(range(len(words)))
    for i in reversed(range(1, len(words))):
        j = words[i] * (i + 1) // 2**32
        order[i], order[j] = order[j], order[i]
    return order


class SlowCascade:
    """One side's engine without budgets, driven like the real one."""

    def __init__(self, key: Bits, qber: float, public_seed: bytes, *, corrects: bool) -> None:
        self.n = key.size
        self.key = key
        self.corrects = corrects
        self.order = fisher_yates(
            KeyStream(public_seed, "cascade order 1").words(0, self.n).tolist()
        )
        self.bits = [int(key[p]) for p in self.order]
        sizes = block_sizes(self.n, qber, extra=COLOURS + MASKS)
        orders = [list(range(self.n))]
        self.classes: list[list[int]] = []  # members of each colour, then of each mask
        blocks = [sizes.first]
        if sizes.first > 1:
            second = KeyStream(public_seed, "cascade order 2").words(0, self.n).tolist()
            orders.append(fisher_yates(second))
            blocks.append(sizes.second)
            columns = KeyStream(public_seed, "cascade columns").words(0, self.n).tolist()
            self.classes = [
                [p for p, c in enumerate(columns) if c % COLOURS == colour]
                for colour in range(COLOURS)
            ] + [
                [p for p, c in enumerate(columns) if c >> (32 - MASKS) >> mask & 1]
                for mask in range(MASKS)
            ]
        self.orders = orders
        # Per pass: cut points, and the difference that the opening or a search gave per interval.
        self.cuts = [list(range(0, self.n, k)) for k in blocks]
        self.known: list[dict[int, int]] = [{} for _ in blocks]
        self.class_known: list[int] = []
        self.found: set[int] = set()
        self.sent = 0
        self.rounds = 0
        self.messages = self._messages()
        self.inbox = b""

    def first(self) -> bytes:
        return next(self.messages)

    def receive(self, message: bytes) -> bytes | None:
        self.inbox = message
        return next(self.messages, None)

    @property
    def corrected(self) -> list[int]:
        key = [int(b) for b in self.key]
        if self.corrects:
            for p in self.found:
                key[self.order[p]] ^= 1
        return key

    def _exchange(self, parities: list[int]) -> Iterator[bytes]:
        self.sent += len(parities)
        self.rounds += 1
        self.ours = parities
        yield pack(_bits(parities))
        theirs = unpack(self.inbox, len(parities)).tolist()
        self.differs = [a ^ b for a, b in zip(parities, theirs, strict=True)]

    def _parity(self, positions: list[int]) -> int:
        return sum(self.bits[p] for p in positions) % 2

    def _left(self, positions: list[int]) -> int:
        """Corrections among positions, modulo 2."""
        return sum(p in self.found for p in positions) % 2

    def _span(self, at: int, start: int) -> tuple[int, int]:
        cuts = self.cuts[at]
        i = bisect_right(cuts, start)
        return cuts[i - 1], cuts[i] if i < len(cuts) else self.n

    def _odd(self, at: int) -> list[tuple[int, int]]:
        spans = [self._span(at, start) for start in self.cuts[at]]
        order = self.orders[at]
        return [s for s in spans if self.known[at][s[0]] ^ self._left(order[s[0] : s[1]])]

    def _messages(self) -> Iterator[bytes]:
        parities = []
        for at, cuts in enumerate(self.cuts):
            spans = [self._span(at, start) for start in cuts]
            told = spans if at == 0 else spans[:-1]
            parities += [self._parity(self.orders[at][lo:hi]) for lo, hi in told]
        parities += [
            self._parity(members) for i, members in enumerate(self.classes) if i != COLOURS - 1
        ]
        yield from self._exchange(parities)
        self._take_opening(self.differs)
        while True:
            uneven = [at for at in range(len(self.cuts)) if self._odd(at)]
            if uneven:
                yield from self._search_pass(uneven[0])
                continue
            odd = [
                i
                for i, members in enumerate(self.classes)
                if self.class_known[i] ^ self._left(members)
            ]
            colours = [i for i in odd if i < COLOURS]
            if not odd:
                return
            yield from self._search_classes(colours[: -(-len(colours) // 2)] or odd[:1])

    def _take_opening(self, differs: list[int]) -> None:
        rest = iter(differs)
        self.known[0] = {start: next(rest) for start in self.cuts[0]}
        total = sum(self.known[0].values()) % 2
        for at in range(1, len(self.cuts)):
            told = {start: next(rest) for start in self.cuts[at][:-1]}
            told[self.cuts[at][-1]] = (total + sum(told.values())) % 2
            self.known[at] = told
        if self.classes:
            colours = [next(rest) for _ in range(COLOURS - 1)]
            self.class_known = [*colours, (total + sum(colours)) % 2, *rest]

    def _search_pass(self, at: int) -> Iterator[bytes]:
        order = self.orders[at]
        spans = self._odd(at)
        hits = []
        while spans:
            hits += [order[lo] for lo, hi in spans if hi - lo == 1]
            spans = [s for s in spans if s[1] - s[0] > 1]
            if not spans:
                break
            yield from self._exchange(
                [self._parity(order[lo : (lo + hi) // 2]) for lo, hi in spans]
            )
            halves = []
            for (lo, hi), differs in zip(spans, self.differs, strict=True):
                mid = (lo + hi) // 2
                whole = self.known[at][lo]
                self.cuts[at].insert(bisect_right(self.cuts[at], mid), mid)
                self.known[at][lo] = differs
                self.known[at][mid] = whole ^ differs
                halves.append((lo, mid) if differs ^ self._left(order[lo:mid]) else (mid, hi))
            spans = halves
        self.found ^= set(hits)

    def _search_classes(self, chosen: list[int]) -> Iterator[bytes]:
        searches = [(i, self._members_only(i, 0, self.n)) for i in chosen]
        hits = []
        while searches:
            hits += [lo for _, (lo, hi) in searches if hi - lo == 1]
            searches = [s for s in searches if s[1][1] - s[1][0] > 1]
            if not searches:
                break
            lefts = [
                [p for p in self.classes[i] if lo <= p < (lo + hi) // 2] for i, (lo, hi) in searches
            ]
            yield from self._exchange([self._parity(left) for left in lefts])
            halves = []
            for (i, (lo, hi)), left, differs in zip(searches, lefts, self.differs, strict=True):
                mid = (lo + hi) // 2
                half = (lo, mid) if differs ^ self._left(left) else (mid, hi)
                halves.append((i, self._members_only(i, *half)))
            searches = halves
        self.found ^= set(hits)

    def _members_only(self, i: int, lo: int, hi: int) -> tuple[int, int]:
        while 1 < hi - lo <= 512:
            mid = (lo + hi) // 2
            left = any(lo <= p < mid for p in self.classes[i])
            right = any(mid <= p < hi for p in self.classes[i])
            if left == right:
                break
            lo, hi = (lo, mid) if left else (mid, hi)
        return lo, hi


def _bits(parities: list[int]) -> Bits:
    value = sum(bit << i for i, bit in enumerate(parities))
    return unpack(value.to_bytes((len(parities) + 7) // 8, "little"), len(parities))
