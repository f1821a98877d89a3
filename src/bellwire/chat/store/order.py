"""What another device of ours brought, put among what was here, by when it was said.

Each of the two keeps its own order, as it came there. The clocks of others are not trusted with it:
nothing was said later than what we said ourselves after it, or later than now.

`now` is in seconds since the epoch.
"""

import sqlite3
from array import array
from collections.abc import Iterator
from typing import Final

from bellwire.chat.store.passing import Passing

_PAGE: Final = 4096


def interleave(cursor: sqlite3.Cursor, history: Passing, since: int, now: float) -> None:
    """Give all rows new places: those behind `since` are what was brought."""
    last = history.last()
    there, came = (
        _Times(history, 0, since, int(now * 1000)),
        _Times(history, since, last, int(now * 1000)),
    )
    if not came.numbers or not there.numbers or there.keys[-1] <= came.keys[0]:
        return  # it is in order as it is
    cursor.executemany(
        "UPDATE history SET number = ? WHERE number = ?",
        enumerate(_merged(there, came), last + 1),
    )


class _Times:
    """Places of rows, and by what they are ordered: never falling."""

    def __init__(self, history: Passing, after: int, until: int, now_ms: int) -> None:
        self.numbers, self.keys, ours = array("q"), array("q"), bytearray()
        for number, sent_ms, is_ours in _said(history, after, until):
            self.numbers.append(number)
            self.keys.append(min(sent_ms, now_ms))
            ours.append(is_ours)
        limit = now_ms
        for at in range(len(ours) - 1, -1, -1):
            self.keys[at] = min(self.keys[at], limit)
            if ours[at]:
                limit = self.keys[at]
        for at in range(1, len(self.keys)):
            self.keys[at] = max(self.keys[at], self.keys[at - 1])


def _said(history: Passing, after: int, until: int) -> Iterator[tuple[int, int, bool]]:
    while page := history.times(after, until, _PAGE):
        yield from page
        after = page[-1][0]


def _merged(there: _Times, came: _Times) -> Iterator[int]:
    """The numbers of both in one order; of two of one time, what was here comes first."""
    at = 0
    for number, key in zip(came.numbers, came.keys, strict=True):
        while at < len(there.numbers) and there.keys[at] <= key:
            yield there.numbers[at]
            at += 1
        yield number
    yield from there.numbers[at:]
