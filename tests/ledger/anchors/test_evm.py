"""Anchors on a real EVM node: paid once, whatever fails, and checked against their hash."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from tests.ledger.anchors.conftest import CHAIN, NAME, Anvil
from tests.ledger.logs import SmallLog

from bellwire.base.private import PathUnusable
from bellwire.ledger.anchors.anchor import anchor_of, verify_anchor
from bellwire.ledger.anchors.anchoring import Anchoring
from bellwire.ledger.anchors.chain import Attempt, Stage
from bellwire.ledger.anchors.errors import (
    AnchorAbsent,
    AnchorMalformed,
    AnchorMismatch,
    AnchorTooDear,
    ChainRefused,
    ChainUnreachable,
    ChainUntrue,
)
from bellwire.ledger.anchors.evm import EvmChain, EvmPurse
from bellwire.ledger.anchors.journal import Journal, Record
from bellwire.ledger.anchors.rpc import NodeRpc

Clock = Callable[[], float]


class Sleeper:
    """Waits by making blocks."""

    def __init__(self, node: Anvil, blocks: int = 1) -> None:
        self.node, self.blocks = node, blocks

    def __call__(self, seconds: float) -> None:
        assert seconds > 0
        if self.blocks:
            self.node.mine(self.blocks)


def anchoring(purse: EvmPurse, folder: Path, clock: Clock, node: Anvil) -> Anchoring:
    return Anchoring(purse, Journal(folder), clock, Sleeper(node))


def test_a_checkpoint_comes_onto_the_chain_and_is_found_there(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock
) -> None:
    purse = anvil.purse()
    work = anchoring(purse, tmp_path, moved, anvil)
    record, new = work.begin(log.checkpoint(300), log._read)
    assert (new, anvil.nonce(purse), record.stage) == (True, 0, Stage.SENT)
    record = work.finish(record, 3600)
    assert record.place is not None
    assert (record.stage, record.place.confirmations >= 4) == (Stage.FINAL, True)
    assert list(Journal(tmp_path).all()) == [record]
    receipt = anvil.do("eth_getTransactionReceipt", record.place.id)
    gas = int(receipt["gasUsed"], 16)
    print(f"an anchor took {gas:,} gas")  # noqa: T201 - measured, and of interest
    assert 22_000 <= gas <= 24_100

    chain = EvmChain(NAME, CHAIN, anvil.rpc, depth=4)
    found = chain.find(record.place.id)
    assert (found.sender, found.final) == (purse.sender, True)
    assert found.place.block_id == record.place.block_id
    verify_anchor(found.anchor, log.checkpoint(700), log._read)
    assert not EvmChain(NAME, CHAIN, anvil.rpc, depth=5000).find(record.place.id).final

    # The same once more is there already; what has grown is another.
    assert work.begin(log.checkpoint(300), log._read) == (record, False)
    later, new = work.begin(log.checkpoint(301), log._read)
    assert (new, work.finish(later, 3600).stage, anvil.nonce(purse)) == (True, Stage.FINAL, 2)


def test_a_log_that_was_rewritten_is_not_anchored(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock
) -> None:
    purse = anvil.purse()
    work = anchoring(purse, tmp_path, moved, anvil)
    work.begin(log.checkpoint(300), log._read)
    other = SmallLog([b"rewritten", *log.entries[1:]])
    for size in (299, 300, 700):
        with pytest.raises(AnchorMismatch):
            work.begin(other.checkpoint(size), other._read)


class Fails(EvmPurse):
    """Whatever it is told to do fails, before it is done or after."""

    when = ""

    def send(self, attempt: Attempt) -> None:
        if self.when == "before it is sent":
            raise ChainUnreachable("cut")
        super().send(attempt)
        if self.when == "sent, yet not told":
            raise ChainUnreachable("cut")


class Loses(Journal):
    """A disk that fails at the given write, before it or after."""

    def __init__(self, folder: Path, when: str) -> None:
        super().__init__(folder)
        self._when, self._writes = when, 0

    def keep(self, record: Record) -> None:
        self._writes += 1
        if self._when == f"write {self._writes} fails":
            raise PathUnusable("full")
        super().keep(record)
        if self._when == f"write {self._writes} failed, yet persisted":
            raise PathUnusable("full")


@pytest.mark.parametrize(
    "when",
    [
        "before it is sent",
        "sent, yet not told",
        "write 1 fails",
        "write 1 failed, yet persisted",
        "write 2 fails",
        "write 2 failed, yet persisted",
    ],
)
def test_whatever_is_cut_a_checkpoint_is_paid_once(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock, when: str
) -> None:
    purse = anvil.purse()
    purse.__class__ = Fails
    assert isinstance(purse, Fails)
    purse.when = when
    first = Anchoring(purse, Loses(tmp_path, when), moved, Sleeper(anvil))
    with pytest.raises((ChainUnreachable, PathUnusable)):
        first.finish(first.begin(log.checkpoint(), log._read)[0], 3600 if "write" in when else 0)

    purse.when = ""
    again = anchoring(purse, tmp_path, moved, anvil)
    for record in again.unfinished():
        assert again.finish(record, 3600).stage is Stage.FINAL
    record, _ = again.begin(log.checkpoint(), log._read)
    assert again.finish(record, 3600).stage is Stage.FINAL
    assert anvil.nonce(purse) == 1
    assert len(list(Journal(tmp_path).all())) == 1


def test_what_a_reorganisation_takes_back_is_sent_again(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock
) -> None:
    purse = anvil.purse(depth=8)
    work = anchoring(purse, tmp_path, moved, anvil)
    record = work.finish(work.begin(log.checkpoint(), log._read)[0], 3600, Stage.INCLUDED)
    assert record.place is not None
    anvil.do("anvil_reorg", 2, [])
    with pytest.raises(AnchorAbsent):
        EvmChain(NAME, CHAIN, anvil.rpc).find(record.place.id)
    again = work.finish(work.unfinished()[0], 3600)
    assert again.place is not None
    assert (again.place.id, again.stage) == (record.place.id, Stage.FINAL)
    assert again.place.block_id != record.place.block_id
    assert anvil.nonce(purse) == 1


@pytest.fixture
def by_hand(anvil: Anvil) -> Iterator[None]:
    """Blocks are made only when a test says so."""
    anvil.do("evm_setAutomine", False)
    yield
    anvil.do("evm_setAutomine", True)
    anvil.mine(1)


@pytest.mark.usefixtures("by_hand")
def test_an_attempt_that_waits_long_offers_more_in_its_own_slot(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock
) -> None:
    purse = anvil.purse(patience_s=200)
    work = Anchoring(purse, Journal(tmp_path), moved, Sleeper(anvil, blocks=0))
    record = work.finish(work.begin(log.checkpoint(), log._read)[0], 600)
    assert record.stage is Stage.SENT
    assert 2 <= len(record.attempts) <= 4
    assert len({each.slot for each in record.attempts}) == 1
    fees = [each.fee for each in record.attempts]
    assert all(later * 8 >= earlier * 9 for earlier, later in itertools.pairwise(fees))
    done = Anchoring(purse, Journal(tmp_path), moved, Sleeper(anvil)).finish(record, 3600)
    assert done.place is not None
    assert (done.stage, done.place.id) == (Stage.FINAL, done.attempts[-1].id)
    assert anvil.nonce(purse) == 1


@pytest.mark.usefixtures("by_hand")
def test_a_slot_that_another_transaction_took_for_good_is_given_up(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock
) -> None:
    purse = anvil.purse()
    work = anchoring(purse, tmp_path, moved, anvil)
    record, _ = work.begin(log.checkpoint(300), log._read)
    purse.send(purse.prepare(anchor_of(log.checkpoint(5)), 0))  # of the same nonce
    anvil.mine(1)
    assert purse.look(record.attempts).stage is Stage.SENT  # a reorganisation may bring it back
    done = work.finish(record, 3600)
    assert done.place is not None
    assert (done.stage, done.attempts[0].slot) == (Stage.FINAL, record.attempts[0].slot + 1)
    assert EvmChain(NAME, CHAIN, anvil.rpc).find(done.place.id).anchor.size == 300


def test_no_more_is_paid_than_was_allowed(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock
) -> None:
    work = anchoring(anvil.purse(most=10), tmp_path, moved, anvil)
    with pytest.raises(AnchorTooDear, match="at most 1e-08 gwei"):
        work.begin(log.checkpoint(), log._read)
    assert list(Journal(tmp_path).all()) == []


def test_an_account_without_means_is_told_of(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock
) -> None:
    purse = anvil.purse()
    work = anchoring(purse, tmp_path, moved, anvil)
    record, _ = work.begin(log.checkpoint(), log._read)
    anvil.do("anvil_setBalance", purse.sender, "0x0")
    with pytest.raises(ChainRefused, match=r"(?i)insufficient funds"):
        work.finish(record, 0)


class Lies(NodeRpc):
    """A node that changes what it is asked for."""

    def __init__(
        self, url: str, method: str, change: Callable[[dict[str, object]], object]
    ) -> None:
        super().__init__(url)
        self._method, self._change = method, change

    def ask(self, method: str, params: object) -> msgspec.Raw:
        found = super().ask(method, params)
        if method != self._method:
            return found
        return msgspec.Raw(msgspec.json.encode(self._change(msgspec.json.decode(found))))


def test_a_node_that_lies_is_found_out(
    anvil: Anvil, log: SmallLog, tmp_path: Path, moved: Clock
) -> None:
    work = anchoring(anvil.purse(), tmp_path, moved, anvil)
    record = work.finish(work.begin(log.checkpoint(300), log._read)[0], 3600)
    transaction = record.attempts[0].id
    other = "0x" + anchor_of(log.checkpoint(301)).encode().hex()
    method = "eth_getTransactionByHash"
    changes: Sequence[tuple[str, Callable[[dict[str, object]], object], type[Exception]]] = [
        (method, lambda it: it | {"input": other}, ChainUntrue),
        (method, lambda it: it | {"nonce": "0x77"}, ChainUntrue),
        (method, lambda it: it | {"type": "0x0"}, AnchorAbsent),
        (method, lambda it: it | {"input": "0x7z"}, ChainUnreachable),
        (method, lambda it: [it], ChainUnreachable),
        (method, lambda _: None, AnchorAbsent),
        ("eth_getTransactionReceipt", lambda _: None, AnchorAbsent),
        ("eth_getTransactionReceipt", lambda it: it | {"blockHash": "0x" + "0" * 64}, AnchorAbsent),
        ("eth_getTransactionReceipt", lambda it: it | {"status": "0x0"}, ChainRefused),
        ("eth_getBlockByNumber", lambda _: None, AnchorAbsent),
        ("eth_chainId", lambda _: "0x1", ChainUntrue),
    ]
    for at, change, error in changes:
        with Lies(anvil.url, at, change) as node, pytest.raises(error):
            EvmChain(NAME, CHAIN, node).find(transaction)


def test_a_transaction_that_carries_something_else_is_no_anchor(anvil: Anvil) -> None:
    sender = anvil.do("eth_accounts")[0]
    words = {"from": sender, "to": sender, "data": "0x" + b"bwa1".hex()}
    transaction = anvil.do("eth_sendTransaction", words)
    with pytest.raises(AnchorMalformed):
        EvmChain(NAME, CHAIN, anvil.rpc).find(transaction)
