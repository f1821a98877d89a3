"""The measuring client, a process of its own: pairs that send as fast as what is under way allows.

    python -m bellwire.bench.chat.load DIALECT PORT PAIRS SECONDS

Each pair has up to `WINDOW` messages under way: sent, and not both received and, where the server
says so, confirmed. It prints JSON: messages, seconds from the first sent to the last that came, and
its own processor time.
"""

import json
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final

from bellwire.base.descriptors import raise_limit
from bellwire.bench.chat.wire import Bundled, Dialect, Json, Nats, Ours

WINDOW: Final = 64
CHUNK: Final = 64
"""Messages of one write."""

READ: Final = 1 << 16
"""Bytes of one read: for many more, memory is had from the system each time."""

PACE_S: Final = 0.005
"""How often a load that is bounded looks whether it may go on."""

QUIET_S: Final = 30.0
"""After which a server that says nothing has failed."""

DIALECTS: Final[dict[str, Callable[[int, int], Dialect]]] = {
    "bellwire": lambda port, number: Bundled(port, number, listen=True),
    "bellwire-single": lambda port, number: Ours(port, number, listen=True),
    "bellwire-absent": lambda port, number: Bundled(port, number, listen=False),
    "json": Json,
    "nats": lambda port, number: Nats(port, number, stream=False),
    "jetstream": lambda port, number: Nats(port, number, stream=True),
    "jetstream-absent": lambda port, number: Nats(port, number, stream=True, listen=False),
}


class Pair:
    """What is under way of one pair.

    Attributes:
        dialect: What the two speak.
        sent: Messages so far.
        came: Those that the receiver has.
        done: Those that the server says are done.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.sent = self.came = self.done = 0

    @property
    def over(self) -> int:
        """How many are over with."""
        counts = [self.came] if self.dialect.receiver is not None else []
        return min([*counts, *([self.done] if self.dialect.confirms else [])])

    def fill(self, chunks: int | None = None) -> None:
        """Send while there is room for a whole chunk, so many chunks at most."""
        while WINDOW - (self.sent - self.over) >= CHUNK and chunks != 0:
            chunks = None if chunks is None else chunks - 1
            self.dialect.sender.sendall(self.dialect.batch(CHUNK))
            self.sent += CHUNK

    def from_receiver(self) -> "Pair":
        """Something came; itself."""
        receiver = self.dialect.receiver
        assert receiver is not None
        count, answer = self.dialect.received(_read(receiver))
        self.came += count
        if answer:
            receiver.sendall(answer)
        return self

    def from_sender(self) -> "Pair":
        """Something was confirmed; itself."""
        self.done += self.dialect.confirmed(_read(self.dialect.sender))
        return self


def _read(line: socket.socket) -> bytes:
    data = line.recv(READ)
    if not data:
        raise ConnectionError("expected the server to go on, got the end of the line")
    return data


def measure(dialect: str, port: int, pairs: int, seconds: float) -> dict[str, float]:
    """Send between so many pairs for so long, and wait until all has come."""
    makes = DIALECTS[dialect]
    return drive([Pair(makes(port, number)) for number in range(pairs)], seconds)


def drive(every: list[Pair], seconds: float, per_s: float | None = None) -> dict[str, float]:
    """Have pairs send for so long, and wait until all has come.

    Args:
        every: Pairs; what they have sent before must have come.
        seconds: Wall-clock time.
        per_s: Messages a second of all together, at most; None: as many as they can.

    Returns:
        `messages`, `seconds` from the first sent to the last that came, and `processor_s` of ours.

    Raises:
        ConnectionError: a server ended a line, or did not do what it should.
        TimeoutError: nothing came any more before all had.
    """
    before = sum(pair.sent for pair in every)
    with selectors.DefaultSelector() as chosen:
        for pair in every:
            pair.dialect.sender.settimeout(QUIET_S)
            if pair.dialect.receiver is not None:
                chosen.register(pair.dialect.receiver, selectors.EVENT_READ, pair.from_receiver)
            if pair.dialect.confirms:
                chosen.register(pair.dialect.sender, selectors.EVENT_READ, pair.from_sender)
        began, processor = time.perf_counter(), time.process_time()
        quiet_since = began
        may_go_on: Iterable[Pair] = every
        while True:
            now = time.perf_counter()
            if now >= began + seconds:
                if all(pair.over == pair.sent for pair in every):
                    break
            elif per_s is None:
                for pair in may_go_on:
                    pair.fill()
            else:
                # Who is first changes: the last ones would else be idle.
                every = [*every[1:], every[0]]
                for pair in every:
                    if sum(each.sent for each in every) - before < per_s * (now - began):
                        pair.fill(1)
            ready = chosen.select(PACE_S if per_s else QUIET_S)
            quiet_since = now if ready else quiet_since
            if now - quiet_since > QUIET_S:
                raise TimeoutError(f"expected that all comes, got nothing more for {QUIET_S} s")
            may_go_on = [key.data() for key, _ in ready]
        took = time.perf_counter() - began
        spent = time.process_time() - processor
    sent = sum(pair.sent for pair in every) - before
    return {"messages": sent, "seconds": took, "processor_s": spent}


def main() -> None:
    """As the arguments say."""
    dialect, port, pairs, seconds = sys.argv[1:]
    raise_limit()
    found = measure(dialect, int(port), int(pairs), float(seconds))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
