"""The record of a session: what it measured and how it ended, without a secret.

Both sides' nodes keep one of each session for a while, and give it to the session's two SAEs with
the pad, or with the error that they get instead. It is JSON in an extension of ETSI GS QKD 014.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

FRESH = "bellwire_fresh_session"
"""Name of the extension, in requests and in answers."""

MARK = "bellwire_session_mark"
"""Name of an optional extension in requests: by what a session is known while it goes on."""

MAX_MARK = 64
"""Characters of a mark."""

LATEST = "bellwire_fresh_sessions"
"""Name of the records of a pair's latest sessions, in a status."""

MAX_LATEST = 8
"""Of these."""

MAX_FRESH_BITS = 1 << 16
"""Longest pad of a session."""

_Count = Annotated[int, Meta(ge=0, le=1 << 53)]
_Text = Annotated[str, Meta(max_length=400)]
_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Ms = Annotated[float, Meta(ge=0.0, le=1e9)]


class StepTime(msgspec.Struct, frozen=True):
    """How long a part of a session took at the side whose record it is, waiting included.

    Attributes:
        step: Its name.
        ms: Milliseconds.
    """

    step: Annotated[str, Meta(max_length=32)]
    ms: _Ms


class SessionRecord(msgspec.Struct, frozen=True):
    """A session, as one side saw it.

    Attributes:
        session: Its id, which is the pad's: a UUID.
        master: SAE that asked for it.
        slave: SAE that it shares the pad with.
        source: Where the light came from: `simulated`, `recorded` or `hardware`.
        began_at: Seconds since the epoch, by this side's clock.
        verdict: `accept`, or `abort`: then there is no pad, and nothing is left of its bits.
        reason: Why it was aborted, in the words of the classical channel; None if it was not.
        message: The same with the numbers.
        pairs: Emitted.
        coincidences: Detected at both sides.
        sifted_bits: Of the settings that give key.
        test_pairs: Coincidences whose outcomes were opened to judge.
        s: CHSH value, with its standard error and its lower limit.
        s_stderr: See above.
        s_lower: See above.
        qber: Error rate of sifted bits, with its standard error.
        qber_stderr: See above.
        leaked_bits: What correction announced of the key.
        verification_bits: Of the hash that crossed the channel.
        final_bits: Of the pad; 0 without one.
        epsilon: What anything stated fails by at most; None without a pad.
        public_bytes: What both sides said over the classical channel.
        steps: Times of each step, in order.
        total_ms: From the demand, or the peer's first message, to the end at this side.
    """

    session: Annotated[str, Meta(min_length=36, max_length=36)]
    master: _Name
    slave: _Name
    source: Annotated[str, Meta(max_length=32)]
    began_at: float
    verdict: Annotated[str, Meta(pattern=r"\A(accept|abort)\Z")]
    reason: _Text | None
    message: _Text | None
    pairs: _Count
    coincidences: _Count
    sifted_bits: _Count
    test_pairs: _Count
    s: float | None
    s_stderr: float | None
    s_lower: float | None
    qber: float | None
    qber_stderr: float | None
    leaked_bits: _Count
    verification_bits: _Count
    final_bits: _Count
    epsilon: float | None
    public_bytes: _Count
    steps: Annotated[list[StepTime], Meta(max_length=32)]
    total_ms: _Ms

    @property
    def accepted(self) -> bool:
        """Whether there is a pad."""
        return self.verdict == "accept"


class SessionNow(msgspec.Struct, frozen=True):
    """A session that is under way, as the master's side knows it so far.

    What it has not come to yet is 0, or None. Nothing of it is believed before the tags of both
    sides have been compared, in the step `authentication`.

    Attributes:
        session: Its id: a UUID. A session that was too short by chance is made again under another.
        probe: Whether it only looks at a link on which no key may flow: there will be no pad.
        step: Which of `SessionRecord.steps` it is in.
        steps: Times of those that it has been in, and of this one so far.
        pairs: As in `SessionRecord`, and so on.
        coincidences: See above.
        sifted_bits: See above.
        test_pairs: See above.
        s: See above.
        qber: See above.
        leaked_bits: See above.
        public_bytes: See above.
    """

    session: Annotated[str, Meta(min_length=36, max_length=36)]
    probe: bool
    step: Annotated[str, Meta(max_length=32)]
    steps: Annotated[list[StepTime], Meta(max_length=32)]
    pairs: _Count
    coincidences: _Count
    sifted_bits: _Count
    test_pairs: _Count
    s: float | None
    qber: float | None
    leaked_bits: _Count
    public_bytes: _Count


def shown(record: SessionRecord) -> dict[str, object]:
    """A record as the extension of an answer."""
    return {FRESH: msgspec.to_builtins(record)}
