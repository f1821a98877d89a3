"""What a console shows of its log was signed, witnessed and proved, or is refused."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ledger.logs import LOG, WITNESSES, SmallLog
from tests.ledger.store.logs import entry
from tests.ledger.test_monitor import files_of

from bellwire.console.errors import RecordAbsent, RecordRefused
from bellwire.console.record import MOST_LOOKED_AT, MOST_WAITING, Record, Wanted
from bellwire.console.views_record import RecordEntries
from bellwire.ledger.errors import InclusionMismatch, RangeUnusable
from bellwire.ledger.note import Note
from bellwire.ledger.policy import parse_policy
from bellwire.ledger.proofs import verify_consistency, verify_inclusion
from bellwire.ledger.receipt import parse_receipt, verify_receipt
from bellwire.ledger.tree import leaf_hash

WITNESS = WITNESSES[0][1]
POLICY = f"log {LOG[1].verifier}\nwitness w {WITNESS.verifier}\nquorum w\n"
SIZE = 600


class Shown:
    """A console's view of a log whose files a test may change."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self.log = SmallLog([])
        self.files: dict[str, bytes] = {}
        self.policy = folder / "policy"
        self.policy.write_text(POLICY)
        self.grow(size)
        self.record = Record(lambda path: self.files[path], self.policy)

    def grow(self, count: int) -> None:
        first = len(self.log.entries) + 1
        some = [
            entry(i, "site-b" if i % 100 == 0 else "site-a") for i in range(first, first + count)
        ]
        self.show(some)

    def show(self, some: list[bytes], log: SmallLog | None = None) -> None:
        self.log = log or self.log
        self.log.append(some)
        self.files = files_of(self.log)
        self.sign(self.log.note(LOG[1], WITNESS))

    def sign(self, note: Note) -> None:
        self.files["checkpoint"] = note.encode()

    def entries(self, **wanted: int | str) -> RecordEntries:
        return asyncio.run(self.record.entries(Wanted(**{"limit": 50, **wanted})))  # type: ignore[arg-type]


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return Shown(tmp_path_factory.mktemp("log"), MOST_LOOKED_AT + SIZE)


def numbers(found: RecordEntries) -> list[int]:
    return [each.number for each in found.entries]


def test_the_checkpoint_is_the_logs_own_and_names_who_witnessed_it(shown: Shown) -> None:
    now = asyncio.run(shown.record.now())
    assert (now.origin, now.size) == (shown.log.origin, SIZE)
    assert base64.b64decode(now.root) == shown.log.edge.root
    assert now.checkpoint.encode() == shown.files["checkpoint"]
    assert now.policy == POLICY
    assert [each.name for each in now.witnesses] == ["w"]


@pytest.mark.parametrize("size", [1, 255, 256, 300, SIZE])
def test_entries_have_proofs_in_the_tree_that_is_asked_for(shown: Shown, size: int) -> None:
    found = shown.entries(size=size, limit=3)
    assert numbers(found) == list(range(max(0, size - 3), size))
    assert (found.first, found.end) == (max(0, size - 3), size)
    root = shown.log.checkpoint(size).root
    assert base64.b64decode(found.root) == root
    for each in found.entries:
        encoded = base64.b64decode(each.leaf)
        assert encoded == shown.log.entries[each.number]
        assert each.content["sequence"] == each.number + 1
        proof = [base64.b64decode(one) for one in each.proof]
        verify_inclusion(leaf_hash(encoded), each.number, size, proof, root)


def test_what_the_page_saves_is_a_receipt(shown: Shown) -> None:
    now = asyncio.run(shown.record.now())
    (found,) = shown.entries(size=now.size, start=257, limit=1).entries
    lines = ["c2sp.org/tlog-proof@v1", f"extra {found.leaf}", "index 257", *found.proof]
    saved = parse_receipt(("\n".join(lines) + "\n\n" + now.checkpoint).encode())
    assert saved.extra == shown.log.entries[257]
    verify_receipt(saved, leaf_hash(saved.extra), parse_policy(POLICY.encode()))
    with pytest.raises(InclusionMismatch):
        verify_receipt(saved, leaf_hash(saved.extra + b" "), parse_policy(POLICY.encode()))


def test_an_empty_log_has_no_entries(tmp_path: Path) -> None:
    found = Shown(tmp_path, 0).entries()
    assert (found.size, found.entries, found.first, found.end) == (0, [], 0, 0)


def test_filters_look_back_or_on_and_say_how_far(unchanged: Shown) -> None:
    size = MOST_LOOKED_AT + SIZE
    found = unchanged.entries(writer="site-b", limit=3)
    assert numbers(found) == [2399, 2499, 2599]
    assert (found.first, found.end) == (2399, size)
    found = unchanged.entries(writer="site-b", limit=3, before=2399)
    assert numbers(found) == [2099, 2199, 2299]
    found = unchanged.entries(writer="site-b", limit=2, start=300)
    assert (numbers(found), found.first, found.end) == ([399, 499], 300, 500)
    assert numbers(unchanged.entries(start=size - 2)) == [size - 2, size - 1]
    assert numbers(unchanged.entries(before=0)) == []
    assert numbers(unchanged.entries(kind="guard-action", limit=1)) == [size - 1]
    for nothing in ({"kind": "revocation"}, {"handle": "alice"}, {"writer": "x"}):
        found = unchanged.entries(**nothing)
        assert (numbers(found), found.first, found.end) == ([], size - MOST_LOOKED_AT, size)


@pytest.mark.parametrize("old", [0, 1, 256, 300, SIZE])
def test_a_tree_is_proved_to_begin_with_an_older_one(shown: Shown, old: int) -> None:
    found = asyncio.run(shown.record.consistency(old, None))
    assert (found.old, found.size) == (old, SIZE)
    roots = [shown.log.checkpoint(each).root if each else None for each in (old, SIZE)]
    proof = [base64.b64decode(each) for each in found.proof]
    if roots[0] is None:
        assert proof == []
    else:
        verify_consistency(old, SIZE, proof, roots[0], shown.log.edge.root)


def test_what_the_log_has_not_is_the_askers_mistake(shown: Shown) -> None:
    with pytest.raises(RangeUnusable):
        shown.entries(size=SIZE + 1)
    with pytest.raises(RangeUnusable):
        asyncio.run(shown.record.consistency(SIZE, SIZE - 1))


def alter(shown: Shown) -> None:
    path = "tile/entries/002.p/88"
    shown.files[path] = shown.files[path].replace(b'"reason 600"', b'"reason 60x"')


def lose_the_witness(shown: Shown) -> None:
    shown.sign(shown.log.note(LOG[1]))


def sign_by_another(shown: Shown) -> None:
    shown.sign(shown.log.note(LOG[0], WITNESS))


def go_back(shown: Shown) -> None:
    shown.sign(shown.log.note(LOG[1], WITNESS, size=SIZE - 1))


def show_another_history(shown: Shown) -> None:
    other = [entry(i, reason="never") for i in range(1, SIZE + 2)]
    shown.show(other, SmallLog([]))


@pytest.mark.parametrize(
    "do", [alter, lose_the_witness, sign_by_another, go_back, show_another_history]
)
def test_what_does_not_hold_is_refused(shown: Shown, do: Callable[[Shown], None]) -> None:
    assert shown.entries().size == SIZE
    do(shown)
    with pytest.raises(RecordRefused):
        shown.entries()


def test_a_log_may_grow(shown: Shown) -> None:
    assert shown.entries().size == SIZE
    shown.grow(10)
    assert shown.entries().size == SIZE + 10


def test_without_a_policy_nothing_is_shown(shown: Shown) -> None:
    shown.policy.write_text("nothing\n")
    with pytest.raises(RecordAbsent, match="line 1"):
        shown.entries()
    shown.policy.unlink()
    with pytest.raises(RecordAbsent, match="No such file"):
        shown.entries()


def test_requests_wait_for_each_other_up_to_a_bound(shown: Shown) -> None:
    async def all_at_once() -> list[object]:
        asked = [shown.record.now() for _ in range(MOST_WAITING + 3)]
        return await asyncio.gather(*asked, return_exceptions=True)

    ends = asyncio.run(all_at_once())
    assert sum(isinstance(each, RecordAbsent) for each in ends) == 3
