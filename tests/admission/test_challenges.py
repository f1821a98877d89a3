"""Challenges: once, in time, from one address, and never too many."""

import pytest

from bellwire.admission.challenges import MOST, MOST_EACH, WITHIN_S, Challenges
from bellwire.admission.errors import ChallengeUnknown
from bellwire.admission.evidence import MAX_ECHOES, read_address
from bellwire.admission.possession import generate, public_bytes

HERE, THERE = read_address("192.0.2.7"), read_address("2001:db8::7")
KEYS = {"ed25519": public_bytes(generate("ed25519"))}


def test_an_echo_is_the_time_between_a_word_and_its_return() -> None:
    all_ = Challenges("here")
    one = all_.begin("alice", KEYS, HERE, 10.0)
    word = all_.echo(one.id, one.word, HERE, 10.020)
    word = all_.echo(one.id, word, HERE, 10.045)
    found = all_.take(one.id, HERE, 11.0).measured()
    assert found is not None
    assert found.ping_ms == pytest.approx(20.0)
    assert found.jitter_ms == pytest.approx(5.0)
    assert found.echoes == 2
    assert found.address == HERE


def test_a_word_serves_once_and_only_in_its_turn() -> None:
    all_ = Challenges("here")
    one = all_.begin("alice", KEYS, HERE, 0.0)
    first = one.word
    all_.echo(one.id, first, HERE, 0.1)
    for word in (first, b"", bytes(16)):
        with pytest.raises(ChallengeUnknown):
            all_.echo(one.id, word, HERE, 0.2)
    assert len(all_.take(one.id, HERE, 0.3).times_ms) == 1


def test_echoes_end_somewhere() -> None:
    all_ = Challenges("here")
    one = all_.begin("alice", KEYS, HERE, 0.0)
    word = one.word
    for _ in range(MAX_ECHOES):
        word = all_.echo(one.id, word, HERE, 0.0)
    with pytest.raises(ChallengeUnknown):
        all_.echo(one.id, word, HERE, 0.0)


def test_a_challenge_is_answered_once_in_time_and_from_its_address() -> None:
    all_ = Challenges("here")
    one = all_.begin("alice", KEYS, HERE, 0.0)
    for which, address in ((one.id, THERE), (bytes(16), HERE), (b"", HERE)):
        with pytest.raises(ChallengeUnknown):
            all_.take(which, address, 1.0)
    all_.take(one.id, HERE, WITHIN_S)
    late = all_.begin("alice", KEYS, HERE, 0.0)
    for which in (one.id, late.id):
        with pytest.raises(ChallengeUnknown):
            all_.take(which, HERE, WITHIN_S + 0.1)
    assert len(all_) == 0
    assert one.challenge.nonce != late.challenge.nonce


def test_one_address_pushes_out_its_own_first() -> None:
    all_ = Challenges("here")
    other = all_.begin("bob", KEYS, THERE, 0.0)
    mine = [all_.begin("alice", KEYS, HERE, 0.0) for _ in range(MOST_EACH + 1)]
    assert len(all_) == MOST_EACH + 1
    all_.take(other.id, THERE, 1.0)
    with pytest.raises(ChallengeUnknown):
        all_.take(mine[0].id, HERE, 1.0)
    all_.take(mine[1].id, HERE, 1.0)


def test_there_are_never_more_than_the_most() -> None:
    all_ = Challenges("here")
    for number in range(MOST + 50):
        all_.begin("alice", KEYS, read_address(f"10.0.{number // 250}.{number % 250}"), 0.0)
    assert len(all_) == MOST
