"""Notices of places: what counts, and what is refused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.places import FILE, known_answers

from bellwire.channel import places
from bellwire.channel.errors import (
    ChannelMisuse,
    NoticeExpired,
    NoticeForged,
    NoticeMalformed,
    NoticeRefused,
    NoticeReplayed,
)
from bellwire.channel.places import Level, Notice, Place
from bellwire.crypto.composite import CompositeKey
from bellwire.crypto.ed25519 import Ed25519Key
from bellwire.crypto.signatures import SigningKey

NOW = 1_800_000_030.0
KEY = CompositeKey(Ed25519Key(bytes(range(32))), SigningKey(bytes(range(32, 64))))
OTHER = CompositeKey(Ed25519Key(bytes(32)), SigningKey(bytes(range(32, 64))))
ID = KEY.public.fingerprint
MOVED = Notice(
    7,
    1_800_000_000,
    1_800_086_400,
    Level.PORT,
    (
        Place("192.0.2.7", 8766),
        Place("2001:db8::7", 443, tls=True),
        Place("relay-2.example.org", 8765, tls=True),
    ),
)
LOCKDOWN = Notice(8, 1_800_000_060, 1_800_086_460, Level.LOCKDOWN, ())
SIGNED = places.sign(MOVED, KEY)


def read(data: bytes, now: float = NOW, after: int = 0) -> Notice:
    return places.read(data, ID, now=now, after=after)


@pytest.mark.parametrize(("name", "notice"), [("moved", MOVED), ("lockdown", LOCKDOWN)])
def test_the_known_answers_are_read_and_written(name: str, notice: Notice) -> None:
    known = json.loads(FILE.read_text())[name]
    assert bytes.fromhex(known["fingerprint"]) == ID
    assert read(bytes.fromhex(known["notice"])) == notice
    body = bytes.fromhex(known["body"])
    assert places.sign(notice, KEY)[: len(body)] == body


def test_the_reference_still_gives_the_known_answers() -> None:
    kept, made = json.loads(FILE.read_text()), known_answers()
    for name in ("moved", "lockdown"):
        again = made[name]
        assert isinstance(again, dict)
        assert again["body"] == kept[name]["body"]
        assert read(bytes.fromhex(again["notice"])) == read(bytes.fromhex(kept[name]["notice"]))


@pytest.mark.parametrize("notice", [MOVED, LOCKDOWN], ids=["moved", "lockdown"])
def test_a_notice_is_read_as_it_was_signed_and_may_come_again(notice: Notice) -> None:
    data = places.sign(notice, KEY)
    assert read(data, after=notice.sequence) == notice


def test_an_older_notice_is_refused_once_a_later_one_was_read() -> None:
    with pytest.raises(NoticeReplayed, match="expected notice 8 or a later one, got 7"):
        read(SIGNED, after=8)


@pytest.mark.parametrize(("now", "counts"), [(-301, False), (-300, True), (86399, True)])
def test_a_notice_counts_from_a_little_before_it_was_issued(now: int, counts: bool) -> None:
    at = MOVED.issued_at + now
    if counts:
        assert read(SIGNED, now=at) == MOVED
    else:
        with pytest.raises(NoticeExpired, match="counts from"):
            read(SIGNED, now=at)


def test_a_notice_that_has_expired_is_refused() -> None:
    with pytest.raises(NoticeExpired, match="counted until"):
        read(SIGNED, now=MOVED.expires_at)


def test_another_identitys_notice_is_refused_even_if_it_shares_a_key() -> None:
    with pytest.raises(NoticeForged, match="another's"):
        read(places.sign(MOVED, OTHER))


@pytest.mark.parametrize("half", [-1, -places._SIGNATURES_BYTES], ids=["ML-DSA-65", "Ed25519"])
def test_both_signatures_must_hold(half: int) -> None:
    data = bytearray(SIGNED)
    data[half] ^= 1
    with pytest.raises(NoticeForged, match="both signatures"):
        read(bytes(data))


@given(at=st.integers(0, len(SIGNED) - 1), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(at: int, bit: int) -> None:
    data = bytearray(SIGNED)
    data[at] ^= 1 << bit
    with pytest.raises(NoticeRefused):
        read(bytes(data))


@pytest.mark.parametrize("change", [1, -1])
def test_a_notice_cut_or_lengthened_is_refused(change: int) -> None:
    data = SIGNED + b"\0" if change > 0 else SIGNED[:-1]
    with pytest.raises(NoticeRefused):
        read(data)


def test_what_the_service_signed_out_of_bounds_is_refused() -> None:
    cut = places._HEAD.size
    bodies = [
        SIGNED[: cut - 2] + b"\x05\x01" + b"\0\0\1\1a",  # a level that is none
        SIGNED[: cut - 2] + b"\x04\x01" + b"\0\0\1\1a",  # a lockdown with a place
        SIGNED[: cut - 2] + b"\x01\x00",  # nowhere
        SIGNED[: cut - 2] + b"\x01\x01" + b"\2\0\1\1a",  # TLS of 2
        SIGNED[: cut - 2] + b"\x01\x01" + b"\0\0\0\1a",  # port 0
        SIGNED[: cut - 2] + b"\x01\x01" + b"\0\0\1\1A",  # an upper-case name
        SIGNED[: cut - 2] + b"\x01\x01" + b"\0\0\1\x09a",  # a host that is cut
        SIGNED[: cut - 2] + b"\x01\x01" + b"\0\0\1\1a" + b"x",  # more behind the places
    ]
    for body in bodies:
        with pytest.raises(NoticeMalformed):
            read(body + KEY.sign(body, b"bellwire places 1"))


@given(st.binary(max_size=places.MAX_NOTICE_BYTES + 1))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(NoticeRefused):
        read(data)


@given(st.binary(max_size=400))
def test_any_bytes_in_the_place_of_places_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(NoticeRefused):
        read(SIGNED[: places._HEAD.size] + data + SIGNED[-places._SIGNATURES_BYTES :])


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 0},
        {"sequence": 1 << 64},
        {"expires_at": MOVED.issued_at},
        {"expires_at": MOVED.issued_at + places.MAX_LIFE_S + 1},
        {"level": Level.LOCKDOWN},
        {"places": ()},
        {"places": (Place("a", 1),) * 17},
    ],
    ids=str,
)
def test_a_notice_out_of_bounds_is_not_made(changes: dict[str, object]) -> None:
    with pytest.raises(ChannelMisuse):
        replace(MOVED, **changes)  # type: ignore[arg-type] # wrong on purpose


def test_a_notice_needs_both_keys() -> None:
    with pytest.raises(ChannelMisuse, match="Ed25519 and ML-DSA-65, got one"):
        places.sign(MOVED, CompositeKey(Ed25519Key(bytes(32)), None))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("ws://127.0.0.1:8765", Place("127.0.0.1", 8765)),
        ("wss://Relay.Example.org:443/", Place("relay.example.org", 443, tls=True)),
        ("ws://[2001:DB8:0::1]:1", Place("2001:db8::1", 1)),
    ],
)
def test_a_place_is_what_a_url_says(url: str, place: Place) -> None:
    assert Place.of_url(url) == place
    assert Place.of_url(place.url) == place


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://a:1",
        "ws://a",
        "ws://:1",
        "ws://a:0",
        "ws://a:65536",
        "ws://a:x",
        "ws://a:1/path",
        "ws://a:1?q",
        "ws://user@a:1",
        "ws://a_b:1",
        "ws://-a:1",
        "ws://a..b:1",
        "ws://1.2.3:1",
        "ws://[fe80::1%25eth0]:1",
        "ws://[::1:1",
        "ws://é:1",
        "ws://" + "a." * 127 + "a:1",
    ],
)
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(ChannelMisuse):
        Place.of_url(url)
