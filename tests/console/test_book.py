"""The book of open sessions against the obvious model: who waits, until when, and nothing else."""

from random import Random

import pytest

from bellwire.base.secret import Secret
from bellwire.console.accounts import Member
from bellwire.console.book import Book, Opened

MEMBERS = [Member(name, site) for site in "ab" for name in ("x", "y")]


@pytest.mark.parametrize("seed", range(30))
def test_the_book_gives_what_a_plain_list_would_give(seed: int) -> None:
    random = Random(seed)
    book = Book(window_s=10.0, most=4)
    model: list[tuple[float, Member, Opened]] = []  # oldest first
    now = 0.0
    for step in range(300):
        now += random.choice([0.0, 0.5, 4.0, 10.0])
        model = [each for each in model if now <= each[0]]
        caller, other = random.sample(MEMBERS, 2)
        if random.random() < 0.5:
            wanted = next((e for e in model if {e[1], e[2].waits_for} == {caller, other}), None)
            expected = wanted if wanted is not None and wanted[2].waits_for == caller else None
            assert book.take(caller, other, now) is (expected and expected[2])
            if expected is not None:
                model.remove(expected)
        else:
            opened = Opened(str(step), other, None, Secret(b"k" * 32), "local")
            model = [e for e in model if {e[1], e[2].waits_for} != {caller, other}][-3:]
            model.append((now + 10.0, caller, opened))
            book.put(caller, opened, now)
        assert len(book) == len(model)
        for _, _, kept in model:
            assert kept.key is not None
            assert kept.key.reveal() == b"k" * 32


def test_a_key_that_nobody_takes_is_overwritten() -> None:
    alice, bob, carol = MEMBERS[:3]
    book = Book(window_s=10.0, most=1)
    keys = [Secret(b"k" * 32) for _ in range(3)]
    book.put(alice, Opened("1", bob, None, keys[0], "local"), 0.0)
    book.put(bob, Opened("2", alice, None, keys[1], "local"), 1.0)  # in its place
    assert [key.reveal() == bytes(32) for key in keys] == [True, False, False]
    book.put(alice, Opened("3", carol, None, keys[2], "local"), 2.0)  # one too many
    assert [key.reveal() == bytes(32) for key in keys] == [True, True, False]
    book.expire(12.0)
    assert keys[2].reveal() == b"k" * 32
    book.expire(12.1)
    assert keys[2].reveal() == bytes(32)
    assert len(book) == 0
