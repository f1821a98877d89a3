"""What a block costs each party, from raw detections to secret bits: core time, counted apart.

Both parties run in this process, one after the other, on one core; a party's time is that of its
own calls: session, frames with their MACs, one-time tags. Nothing crosses a socket and nothing is
stored; `wire` measures that.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.bench.distill import light
from bellwire.distill.conversation import FetchHalf, Send, Store
from bellwire.distill.line import Line, Step
from bellwire.distill.planes import Planes
from bellwire.distill.report import BlockReport
from bellwire.distill.session import Effect, Finished, Session
from bellwire.lab.pair import derive_authentication


class Cost(NamedTuple):
    """A block, and what it took."""

    report: BlockReport
    seconds: dict[Side, float]  # of processor time
    wire_bytes: int  # of both sides' frames


class _Party:
    """One side: its session, its end of the line, and its clock."""

    def __init__(self, side: Side, session: Session, half: Planes) -> None:
        self.line = Line(side, Secret(bytes(32)), bytes([side is Side.ALICE]) * 32)
        self.session, self.half = session, half
        self.seconds = 0.0
        self.report: BlockReport | None = None
        self.secret: Secret | None = None

    def timed(self, work: Callable[[], list[bytes]]) -> list[bytes]:
        start = time.process_time()
        said = work()
        self.seconds += time.process_time() - start
        return said

    def begin(self) -> list[bytes]:
        return self._do(self.session.start())

    def hear(self, data: bytes) -> list[bytes]:
        frame = self.line.open(data)
        assert isinstance(frame, Step)
        return self._do(self.session.receive(frame.step, frame.body))

    def _do(self, effects: list[Effect]) -> list[bytes]:
        said = []
        for effect in effects:
            match effect:
                case Send(step, body):
                    said.append(self.line.seal(Step(False, 1, step, body)))
                case FetchHalf():
                    said += self._do(self.session.provide(self.half))
                case Store(secret):
                    self.secret = secret
                    said += self._do(self.session.stored())
                case Finished(report):
                    self.report = report
                case _:
                    raise ArithmeticError(f"expected no {type(effect).__name__}")
        return said


def run(halves: dict[Side, Planes], detections: int, rectilinear: float) -> Cost:
    """Distil one block.

    Raises:
        ArithmeticError: it gave no key, or not the same to both.
    """
    opening = light.opening(1, detections, rectilinear)
    tags = derive_authentication(bytes(32))
    parties = {
        side: _Party(
            side,
            Session(side, opening, tags, secrets.token_bytes),
            halves[side],
        )
        for side in Side
    }
    for side, party in parties.items():
        party.line.receive_hello(parties[side.peer].line.hello())
    arriving: dict[Side, deque[bytes]] = {
        side.peer: deque(party.timed(party.begin)) for side, party in parties.items()
    }
    wire_bytes = sum(len(data) for queue in arriving.values() for data in queue)
    while any(arriving.values()):
        for side, party in parties.items():
            if arriving[side]:
                data = arriving[side].popleft()
                said = party.timed(partial(party.hear, data))
                wire_bytes += sum(len(each) for each in said)
                arriving[side.peer].extend(said)
    alice, bob = parties[Side.ALICE], parties[Side.BOB]
    if alice.report is None or not alice.report.accepted or alice.secret != bob.secret:
        raise ArithmeticError(f"the block gave no key: {alice.report}")
    seconds = {side: party.seconds for side, party in parties.items()}
    return Cost(alice.report, seconds, wire_bytes)
