"""Records of past sessions at a node: bounded in number and in age, and without a secret."""

import uuid
from collections import OrderedDict
from collections.abc import Mapping

from bellwire.base.clock import Clock
from bellwire.distill.conversation import Phase
from bellwire.distill.report import BlockReport
from bellwire.etsi014.record import SessionRecord, StepTime
from bellwire.keys.model import KeySourceKind
from bellwire.keys.session_pads import PadFor

KEPT_S = 3600.0
MAX_RECORDS = 1024
_MAX_WORDS = 400


class Records:
    """The records of a node, in memory: a restart forgets them.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, SessionRecord]] = OrderedDict()

    def keep(self, session: bytes, record: SessionRecord) -> None:
        """Keep a record for `KEPT_S` seconds, or until `MAX_RECORDS` others came."""
        self._kept[session] = self._clock(), record
        self._kept.move_to_end(session)
        self._forget()

    def find(self, session: bytes) -> SessionRecord | None:
        """The record of a session; None if there is none."""
        self._forget()
        found = self._kept.get(session)
        return None if found is None else found[1]

    def all(self) -> list[SessionRecord]:
        """Every record, oldest first."""
        self._forget()
        return [record for _, record in self._kept.values()]

    def _forget(self) -> None:
        before = self._clock() - KEPT_S
        while self._kept:
            oldest, (at, _) = next(iter(self._kept.items()))
            if len(self._kept) <= MAX_RECORDS and at >= before:
                return
            del self._kept[oldest]


def record_of(
    pad: PadFor,
    report: BlockReport,
    source: KeySourceKind,
    *,
    began_at: float,
    total_s: float,
    times: Mapping[Phase, float],
) -> SessionRecord:
    """The record of a session that began on the classical channel.

    Args:
        pad: Whose pad it was to give.
        report: Of its block.
        source: Where the light came from.
        began_at: Seconds since the epoch.
        total_s: From then to the end.
        times: Seconds of each phase.
    """
    message = None if report.message is None else report.message[:_MAX_WORDS]
    return SessionRecord(
        session=str(uuid.UUID(bytes=pad.key_id)),
        master=pad.master,
        slave=pad.slave,
        source=source.value,
        began_at=began_at,
        verdict="accept" if report.accepted else "abort",
        reason=None if report.reason is None else report.reason.value,
        message=message,
        pairs=report.pulses,
        coincidences=report.detected,
        sifted_bits=report.sifted_bits,
        test_pairs=report.detected - report.sifted_bits,
        s=report.chsh,
        s_stderr=report.chsh_stderr,
        s_lower=report.chsh_lower,
        qber=report.qber,
        qber_stderr=report.qber_stderr,
        leaked_bits=report.leaked_bits,
        verification_bits=report.verification_bits,
        final_bits=pad.bits if report.accepted else 0,
        epsilon=report.epsilon,
        public_bytes=report.transcript_bytes,
        steps=[StepTime(phase.value, 1e3 * times[phase]) for phase in Phase if phase in times],
        total_ms=1e3 * total_s,
    )
