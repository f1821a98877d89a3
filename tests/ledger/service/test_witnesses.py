"""A log and its witnesses: who is asked what, what counts, and what is shown."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.ledger.logs import LOG, MLDSA44, WITNESSES, SmallLog, numbered
from tests.patience import PATIENCE_S

from bellwire.ledger.errors import LedgerError
from bellwire.ledger.note import Note
from bellwire.ledger.policy import Policy, parse_policy, verify_checkpoint
from bellwire.ledger.service.errors import NotCosigned
from bellwire.ledger.service.witnesses import LONGEST_PAUSE_S, AskedWitness, Post, Witnesses
from bellwire.ledger.witness.errors import HistorySplit, OldSizeDiffers
from bellwire.ledger.witness.memory import Memory
from bellwire.ledger.witness.submission import parse_submission
from bellwire.ledger.witness.witness import Witness, by_origin

Answer = tuple[int, bytes]


class Site:
    """A real witness, called without HTTP; it may be told to fail."""

    def __init__(self, folder: Path, number: int) -> None:
        self.signers = WITNESSES[number]
        self.folder = folder
        self.olds: list[int] = []
        self.instead: Callable[[], Awaitable[Answer]] | None = None
        self.restart()

    def restart(self) -> None:
        followed = by_origin([MLDSA44.verifier])
        self.witness = Witness(self.signers, followed, Memory(self.folder, None, ()))

    async def post(self, body: bytes) -> Answer:
        self.olds.append(parse_submission(body).old)
        if self.instead is not None:
            return await self.instead()
        try:
            return 200, self.witness.add_checkpoint(body).encode()
        except (OldSizeDiffers, HistorySplit) as error:
            return 409, b"%d\n" % error.size
        except LedgerError as error:
            return 422, str(error).encode()


class Asking:
    """A log that asks two witnesses, with a clock that stands."""

    def __init__(self, folder: Path, quorum: str, within_s: float = PATIENCE_S) -> None:
        self.within_s = within_s
        self.sites = [Site(folder / f"w{i}", i) for i in (0, 1)]
        lines = [f"witness w{i} {each.signers[1].verifier}" for i, each in enumerate(self.sites)]
        lines += ["group both all w0 w1", f"quorum {quorum}", ""]
        parsed = parse_policy("\n".join(lines).encode())
        self.policy = Policy(
            tuple(each.verifier for each in LOG), parsed.witnesses, parsed.groups, parsed.quorum
        )
        self.now = 0.0
        self.shown: list[Note] = []
        self.log = SmallLog(numbered(5))
        self.restart(None)

    def restart(self, shown: Note | None, post: Post | None = None) -> None:
        asked = [
            AskedWitness(name, key, post or site.post)
            for (name, key), site in zip(self.policy.witnesses, self.sites, strict=True)
        ]
        self.witnesses = Witnesses(
            asked, self.policy, self.log.prover, shown, lambda: self.now, within_s=self.within_s
        )

    def cosign(self) -> None:
        async def show(note: Note) -> None:
            verify_checkpoint(note, self.policy)
            self.shown.append(note)

        asyncio.run(self.witnesses.cosign(self.log.note(), show))

    def troubles(self) -> list[str | None]:
        return [each.trouble for each in self.witnesses.standings.values()]

    def sizes(self) -> list[int]:
        return [each.size for each in self.witnesses.standings.values()]


def counts(notes: list[Note]) -> list[int]:
    """How many witnesses cosigned each."""
    return [len(each.signatures) - len(LOG) for each in notes]


def test_each_checkpoint_is_cosigned_by_all_and_goes_on_from_the_last(tmp_path: Path) -> None:
    asking = Asking(tmp_path, "both")
    asking.cosign()
    asking.log.append(numbered(300))
    asking.cosign()
    assert counts(asking.shown) == [2, 2]
    assert asking.sizes() == [305, 305]
    assert [site.olds for site in asking.sites] == [[0, 5], [0, 5]]
    assert asking.witnesses.due_in_s(asking.log.note()) is None
    # After a restart the sizes are those of the checkpoint that was shown.
    asking.restart(asking.shown[-1])
    assert asking.witnesses.due_in_s(asking.log.note()) is None
    asking.log.append(numbered(1))
    asking.cosign()
    assert [site.olds[2:] for site in asking.sites] == [[305], [305]]


def test_the_size_that_a_witness_names_is_where_the_proof_begins(tmp_path: Path) -> None:
    asking = Asking(tmp_path, "both")
    asking.cosign()
    asking.log.append(numbered(20))
    asking.restart(None)  # what was shown is lost
    asking.cosign()
    assert asking.sites[0].olds == [0, 0, 5]
    assert counts(asking.shown) == [2, 2]


def test_nothing_is_shown_before_the_quorum_and_the_late_one_is_asked_again(tmp_path: Path) -> None:
    asking = Asking(tmp_path, "both", within_s=3.0)

    async def slow() -> Answer:
        await asyncio.sleep(PATIENCE_S)
        return 200, b""

    asking.sites[1].instead = slow
    asking.cosign()
    assert asking.shown == []
    assert asking.troubles() == [None, "no answer within 3 s"]
    assert asking.witnesses.due_in_s(asking.log.note()) == 1.0
    asking.cosign()  # it is not asked before its time
    assert [len(site.olds) for site in asking.sites] == [1, 1]
    asking.now, asking.sites[1].instead = 1.0, None
    asking.cosign()
    assert [len(site.olds) for site in asking.sites] == [1, 2]
    assert counts(asking.shown) == [2]
    assert asking.troubles() == [None, None]


@pytest.mark.parametrize(("quorum", "shown"), [("none", [0, 1]), ("w0", [1])])
def test_what_the_quorum_does_not_ask_for_is_waited_for_by_nobody(
    tmp_path: Path, quorum: str, shown: list[int]
) -> None:
    asking = Asking(tmp_path, quorum)

    async def refuse() -> Answer:
        return 503, b'{"message": "not now"}'

    asking.sites[1].instead = refuse
    asking.cosign()
    assert counts(asking.shown) == shown
    assert "HTTP 503" in str(asking.troubles()[1])


def test_pauses_of_a_witness_that_fails_grow_up_to_a_bound(tmp_path: Path) -> None:
    asking = Asking(tmp_path, "none")

    async def refuse() -> Answer:
        return 429, b""

    asking.sites[1].instead = refuse
    pauses = []
    for _ in range(8):
        asking.cosign()
        pauses.append(asking.witnesses.due_in_s(asking.log.note()) or 0.0)
        asking.now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, *[LONGEST_PAUSE_S] * 3]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((409, b"6\n"), "put back"),
        ((409, b"0\n"), "has cosigned others"),
        ((409, b"05\n"), "a number"),
        ((409, b"\xff"), "size"),
        ((404, b"unknown \x1b[31m"), "HTTP 404: 'unknown \\x1b[31m'"),
        ((200, b""), "other keys"),
        ((200, b"garbage\n"), "signature lines"),
        ((200, b"x\n" * 17), "at most 16"),
    ],
)
def test_answers_that_are_no_cosignature_are_told_and_count_for_nothing(
    tmp_path: Path, answer: Answer, said: str
) -> None:
    asking = Asking(tmp_path, "w1")

    async def instead() -> Answer:
        return answer

    asking.sites[1].instead = instead
    asking.cosign()
    assert asking.shown == []
    assert said in str(asking.troubles()[1])


def test_a_cosignature_of_another_checkpoint_or_witness_counts_for_nothing(tmp_path: Path) -> None:
    asking = Asking(tmp_path, "w1")
    other = SmallLog([b"other", *numbered(4)]).note(WITNESSES[1][1]).signatures[0]
    for line in (other, asking.log.note(WITNESSES[0][1]).signatures[0]):

        async def instead(text: str = str(line)) -> Answer:
            return 200, text.encode()

        asking.sites[1].instead = instead
        asking.now += 100
        asking.cosign()
    assert asking.shown == []
    assert asking.sizes() == [5, 0]


def test_a_log_with_two_histories_is_cosigned_once(tmp_path: Path) -> None:
    asking = Asking(tmp_path, "both")
    asking.cosign()
    asking.log = SmallLog([b"forged", *numbered(300)])
    asking.restart(None)
    asking.cosign()
    assert counts(asking.shown) == [2]
    assert all("HTTP 422" in str(each) for each in asking.troubles())


def test_a_kept_cosignature_that_does_not_hold_is_not_gone_on_from(tmp_path: Path) -> None:
    asking = Asking(tmp_path, "both")
    forged = SmallLog(numbered(6)).note(WITNESSES[0][1]).signatures
    with pytest.raises(NotCosigned):
        asking.restart(asking.log.note().with_signatures(*forged))
