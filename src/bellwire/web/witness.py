"""The door of a witness: `POST /add-checkpoint`, in the words and codes of tlog-witness.

Source: C2SP tlog-witness, "add-checkpoint".
"""

import asyncio
import time
from typing import Final

import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import BellwireError
from bellwire.base.private import PathUnusable
from bellwire.ledger.errors import CheckpointUntrusted, ConsistencyMismatch
from bellwire.ledger.witness.errors import (
    HistorySplit,
    LogUnknown,
    OldSizeDiffers,
    SubmissionMalformed,
    WitnessRolledBack,
    WitnessStateDamaged,
)
from bellwire.ledger.witness.submission import MAX_SUBMISSION_BYTES
from bellwire.ledger.witness.witness import Witness
from bellwire.web.api import Answered
from bellwire.web.errors import RequestRefused
from bellwire.web.plain import require_pace
from bellwire.web.rates import Rates
from bellwire.web.reader import Asked
from bellwire.web.requests import split_target
from bellwire.web.settings import DoorLimits

WITNESS_LIMITS: Final = DoorLimits(
    head_bytes=16 << 10,
    body_bytes=MAX_SUBMISSION_BYTES,
    connections=200,
    connections_per_caller=64,
    requests_per_s=20.0,
    burst=200.0,
)
"""Of a witness: logs are few, and each asks once for each of its checkpoints, one a second or so.
Each request costs up to 64 checks of signatures; rates are of an address."""

PATH: Final = b"/add-checkpoint"
LINES: Final = b"content-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n"
SIZE: Final = b"content-type: text/x.tlog.size\r\ncache-control: no-store\r\n"
_CODES: Final[dict[type[BellwireError], int]] = {
    SubmissionMalformed: 400,
    CheckpointUntrusted: 403,
    LogUnknown: 404,
    ConsistencyMismatch: 422,
    WitnessRolledBack: 503,
    WitnessStateDamaged: 503,
    PathUnusable: 503,
}
log = structlog.get_logger()


class WitnessDoor:
    """Answers logs; its `answer` is an `api.Handler`.

    Args:
        witness: Behind it.
        timer: Seconds of a clock that only advances.
        limits: Rates of an address.
    """

    def __init__(
        self,
        witness: Witness,
        *,
        timer: Clock = time.monotonic,
        limits: DoorLimits = WITNESS_LIMITS,
    ) -> None:
        self._witness = witness
        self._timer = timer
        self._rates = Rates(limits.requests_per_s, limits.burst)

    async def answer(self, asked: Asked, address: str) -> Answered:
        """Cosign what is asked, or say why not.

        Raises:
            RequestRefused: no cosignature.
        """
        require_pace(self._rates.wait_s(address, self._timer()))
        path, _ = split_target(asked.target)
        if path != PATH:
            raise RequestRefused(404, "expected POST /add-checkpoint, got another path")
        if asked.verb != b"POST":
            raise RequestRefused(405, "expected POST", headers=[("allow", "POST")])
        try:
            # A thread: what is decided waits for the disk.
            lines = await asyncio.to_thread(self._witness.add_checkpoint, asked.body)
        except OldSizeDiffers as error:
            return Answered(b"%d\n" % error.size, 409, SIZE)
        except HistorySplit as error:
            log.warning("log has two histories", reason=str(error), address=address)
            return Answered(b"%d\n" % error.size, 409, SIZE)
        except BellwireError as error:
            code = _CODES.get(type(error), 500)
            if code in {422, 500, 503}:
                log.warning("checkpoint not cosigned", reason=str(error), address=address)
            raise RequestRefused(code, str(error) if code < 500 else _UNABLE) from error
        return Answered(lines.encode(), kind=LINES)


_UNABLE: Final = "the witness cannot cosign now; its operator's log says why"
