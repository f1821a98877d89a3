import contextlib
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.detections import Detections, Protocol
from bellwire.base.limits import MAX_DETECTIONS
from bellwire.link import messages
from bellwire.link.attacks import AnyEve
from bellwire.link.choices import PreparedPulses
from bellwire.link.config import LinkConfig
from bellwire.link.errors import LinkMisbehaved, Refusal
from bellwire.link.eve import Axes, Eve, EveKind
from bellwire.link.messages import (
    Attack,
    BlockRequest,
    Detected,
    GetLink,
    LinkState,
    Prepared,
    Refused,
    SetEve,
    to_answer,
    to_half,
    too_many_detections,
)
from bellwire.link.weak import WeakEve, WeakEveKind

SEED = bytes(range(32))
HALF = Detections(
    np.array([0, 3, 4, 9]), np.array([0, 2, 1, 2], np.uint8), np.array([1, 1, 0, 1], np.uint8)
)


def asked(pulses: int, *, plane: bool = True) -> BlockRequest:
    return BlockRequest(bytes(16), Protocol.E91, pulses, SEED, plane=plane)


def answer_with(**changes: object) -> Detected:
    detected = to_answer(HALF, asked(10, plane=False))
    assert isinstance(detected, Detected)
    return msgspec.structs.replace(detected, **changes)


@given(
    slots=st.one_of(
        st.sets(st.integers(0, 2**26 - 1), max_size=60), st.sets(st.integers(0, 99), max_size=60)
    ).map(sorted),
    plane=st.booleans(),
    data=st.data(),
)
def test_a_half_survives_the_socket(slots: list[int], plane: bool, data: st.DataObject) -> None:
    n = len(slots)
    values = st.lists(st.integers(0, 2), min_size=n, max_size=n)
    half = Detections(
        np.array(slots, np.int64),
        np.array(data.draw(values), np.uint8),
        np.array(data.draw(values), np.uint8) & np.uint8(1),
    )
    pulses = 100 if slots and slots[-1] < 100 else 2**26
    told = to_answer(half, asked(pulses, plane=plane))
    answer = messages.decode_block_answer(messages.encode(told))
    assert isinstance(answer, Detected)
    assert len(answer.slots) == min(4 * n, (pulses + 7) // 8 if plane else 4 * n)
    back = to_half(answer, Protocol.E91, pulses)
    assert (back.slots == half.slots).all()
    assert (back.settings == half.settings).all()
    assert (back.outcomes == half.outcomes).all()


def test_a_side_that_prepares_is_told_nothing() -> None:
    assert to_answer(PreparedPulses(SEED, 8), asked(8)) == Prepared()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": 3}, "bytes of slots"),
        ({"slots": b"\0" * 15}, "bytes of slots"),
        ({"slots": b"\0" * 16}, "strictly increasing"),
        ({"slots": b"\x1f\x02"}, "4 slots in their plane, got 6"),
        ({"slots": b"\x07\x06"}, "zero padding"),
        ({"outcomes": b""}, "expected 1 bytes"),
        ({"outcomes": b"\xff"}, "zero padding"),
        ({"settings_low": b"\x0f", "settings_high": b"\x0f"}, "settings up to 2"),
    ],
)
def test_an_impossible_half_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(LinkMisbehaved, match=words):
        to_half(answer_with(**changes), Protocol.E91, 10)


def test_a_half_of_another_block_is_refused() -> None:
    with pytest.raises(LinkMisbehaved, match="slots below 9"):
        to_half(answer_with(), Protocol.E91, 9)
    with pytest.raises(LinkMisbehaved, match="settings up to 1"):
        to_half(answer_with(), Protocol.BB84, 10)


@pytest.mark.parametrize(
    "eve",
    [
        None,
        Eve(EveKind.GHZ),
        Eve(EveKind.INTERCEPT_RESEND, 0.25, Axes.uniform()),
        Eve(EveKind.INTERCEPT_RESEND, 0.0, Axes((0.5, 1.0))),
        WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING, 0.5),
        WeakEve(WeakEveKind.BLINDING),
    ],
)
def test_an_eve_survives_the_socket(eve: AnyEve | None) -> None:
    state = LinkState(LinkConfig(fibre_km=3.0), Attack.of(eve))
    answer = messages.decode_control_answer(messages.encode(state))
    assert isinstance(answer, LinkState)
    assert answer.eve == eve
    assert answer.config == LinkConfig(fibre_km=3.0)


@settings(max_examples=200)
@given(body=st.binary(max_size=80))
def test_arbitrary_bytes_decode_or_raise_what_is_documented(body: bytes) -> None:
    for decode in (messages.decode_block_request, messages.decode_control):
        with contextlib.suppress(msgspec.DecodeError):
            decode(body)
    for read in (messages.decode_block_answer, messages.decode_control_answer):
        with contextlib.suppress(LinkMisbehaved):
            read(body)


@pytest.mark.parametrize(
    "message",
    [
        [1, bytes(15), "e91", 10, SEED],
        [1, bytes(16), "e91", 0, SEED],
        [1, bytes(16), "e91", 2**27 + 1, SEED],
        [1, bytes(16), "b92", 10, SEED],
        [1, bytes(16), "decoy-bb84", 10, SEED, 1.0],
        [1, bytes(16), "decoy-bb84", 10, SEED, math.nan],
        [1, bytes(16), "decoy-bb84", 10, SEED, 0.7, [[0.1, 0.2, 0.0], [0.3, 0.4, 0.3]]],
        [1, bytes(16), "decoy-bb84", 10, SEED, 0.7, [[0.5, 0.2], [0.6, 0.4]]],
        [1, bytes(16), "e91", 10, SEED[1:]],
        [1, bytes(16), "e91", 10],
        [2],
    ],
)
def test_a_request_out_of_bounds_is_no_request(message: list[object]) -> None:
    with pytest.raises(msgspec.DecodeError):
        messages.decode_block_request(msgspec.msgpack.encode(message))


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, math.inf])
def test_a_share_out_of_bounds_is_no_control_message(share: float) -> None:
    with pytest.raises(msgspec.DecodeError):
        messages.decode_control(messages.encode(SetEve(Attack(EveKind.GHZ, share, None))))


def test_a_link_that_tells_of_the_impossible_is_not_believed() -> None:
    body = messages.encode(LinkState(LinkConfig(), Attack(EveKind.GHZ, 1.0, (math.inf,))))
    with pytest.raises(LinkMisbehaved, match="Eve's axes"):
        messages.decode_control_answer(body)
    for attack in (Attack("mallory", 1.0, None), Attack("pns", 1.0, (0.5,))):
        with pytest.raises(LinkMisbehaved, match="Eve's"):
            messages.decode_control_answer(messages.encode(LinkState(LinkConfig(), attack)))
    broken = msgspec.msgpack.encode([7, {"fibre_km": -1.0}, None])
    with pytest.raises(LinkMisbehaved, match="fibre_km"):
        messages.decode_control_answer(broken)


def test_messages_do_not_show_seeds_or_outcomes() -> None:
    request = BlockRequest(bytes(16), Protocol.E91, 9, SEED)
    assert repr(request) == "BlockRequest(e91, 9 pulses)"
    assert repr(answer_with()) == "Detected(4 slots)"


def test_the_largest_block_fits_the_largest_answer() -> None:
    n = MAX_DETECTIONS
    planes = bytes(n // 8)
    assert len(messages.encode(Detected(n, bytes(4 * n), planes, planes, planes))) < (
        messages.ANSWER_LIMIT
    )
    assert len(messages.encode(Refused(Refusal.FAILED, "x" * 400))) < messages.REQUEST_LIMIT
    sixteen = Axes(tuple(k / 7 for k in range(16)))
    full = Attack.of(Eve(EveKind.INTERCEPT_RESEND, 1 / 3, sixteen))
    for message in (SetEve(full), GetLink(), LinkState(LinkConfig(), full)):
        assert len(messages.encode(message)) < messages.REQUEST_LIMIT


def test_a_block_is_too_large_by_its_detections_and_not_by_its_pulses() -> None:
    assert too_many_detections(1.0, 2**24 + 1)
    assert not too_many_detections(1.0, 2**24)
    assert not too_many_detections(0.01, 2**26)
