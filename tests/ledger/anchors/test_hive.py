"""Anchors on Hive: published transactions, and a node for the transport."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nectarbase.objects import Operation
from nectarbase.operations import Vote
from nectarbase.signedtransactions import Signed_Transaction
from nectargraphenebase.account import PublicKey
from tests.ledger.anchors.hive_node import CHAIN_ID, HiveNode, serving
from tests.ledger.logs import SmallLog

from bellwire.base.secret import Secret
from bellwire.ledger.anchors.anchor import anchor_of, verify_anchor
from bellwire.ledger.anchors.anchoring import Anchoring
from bellwire.ledger.anchors.chain import Stage
from bellwire.ledger.anchors.errors import (
    AnchorAbsent,
    AnchorMalformed,
    AnchorUnusable,
    ChainRefused,
    ChainUnreachable,
    ChainUntrue,
)
from bellwire.ledger.anchors.hive import (
    HiveChain,
    HivePurse,
    _CustomJson,
    parse_wif,
    public_of,
    transaction_of,
)
from bellwire.ledger.anchors.journal import Journal
from bellwire.ledger.anchors.rpc import NodeRpc

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "hive" / "transactions.json").read_text()
)
NAME = f"hive:{CHAIN_ID}"
SECRET = Secret(bytes(range(1, 33)))


def published() -> Any:
    it = VECTORS["custom_json"]
    said = _CustomJson([], it["required_posting_auths"], it["id"], it["json"])
    return transaction_of(it["ref_block_num"], it["ref_block_prefix"], it["expiration"], said)


def test_a_published_custom_json_has_its_published_bytes_and_ours_have_its_signer() -> None:
    it = VECTORS["custom_json"]
    chain = {"chain_id": it["chain_id"], "prefix": "STM"}
    made = published()
    made.sign([it["wif"]], chain=chain)
    assert bytes(made).hex()[:-130] == it["signed"][:-130]
    assert [str(PublicKey(each)) for each in made.verify(chain=chain, recover_parameter=True)] == [
        it["public"]
    ]
    assert public_of(parse_wif(it["wif"])) == it["public"]


def test_the_published_signature_is_of_the_digest_that_we_sign() -> None:
    it = VECTORS["custom_json"]
    made = published()
    signed = Signed_Transaction(
        ref_block_num=it["ref_block_num"],
        ref_block_prefix=it["ref_block_prefix"],
        expiration=it["expiration"],
        operations=made.data["operations"].data,
        signatures=[it["signed"][-130:]],
    )
    assert bytes(signed).hex() == it["signed"]
    chain = {"chain_id": it["chain_id"], "prefix": "STM"}
    found = signed.verify(chain=chain, recover_parameter=True)
    assert [str(PublicKey(each)) for each in found] == [it["public"]]


def test_a_vote_of_the_main_network_has_its_id_and_its_digest() -> None:
    it = VECTORS["vote"]
    at = datetime.datetime.fromtimestamp(it["expiration_seconds"], datetime.UTC)
    make: Any = Vote
    words = {name: it[name] for name in ("voter", "author", "permlink", "weight")}
    made = Signed_Transaction(
        ref_block_num=it["ref_block_num"],
        ref_block_prefix=it["ref_block_prefix"],
        expiration=at.strftime("%Y-%m-%dT%H:%M:%S"),
        operations=[Operation(make(**words))],
    )
    made.deriveDigest({"chain_id": it["chain_id"], "prefix": "STM"})
    assert (bytes(made).hex(), made.id) == (it["serialized"], it["id"])
    assert made.digest.hex() == it["digest"]


@pytest.fixture(scope="module")
def served() -> Iterator[HiveNode]:
    with serving(HiveNode()) as node:
        yield node


@pytest.fixture
def node(served: HiveNode) -> HiveNode:
    served.begin({"ada.logs": public_of(SECRET)})
    served.make(20)
    return served


@pytest.fixture
def rpc(node: HiveNode) -> Iterator[NodeRpc]:
    with NodeRpc(node.url) as opened:
        yield opened


@pytest.fixture
def purse(rpc: NodeRpc) -> HivePurse:
    return HivePurse(NAME, CHAIN_ID, rpc, "ada.logs", SECRET)


def test_a_checkpoint_comes_onto_the_chain_and_is_found_there(
    node: HiveNode, purse: HivePurse, rpc: NodeRpc, log: SmallLog, tmp_path: Path
) -> None:
    work = Anchoring(purse, Journal(tmp_path), lambda: 0.0, lambda _: node.make())
    record, new = work.begin(log.checkpoint(300), log._read)
    assert (new, node.pool) == (True, {})
    record = work.finish(record, 60)
    assert record.stage is Stage.FINAL
    assert record.place is not None
    assert record.place.time == 1_800_000_000 + 3 * record.place.block
    found = HiveChain(NAME, CHAIN_ID, rpc).find(record.place.id)
    assert (found.sender, found.final, found.place.block) == ("ada.logs", True, record.place.block)
    verify_anchor(found.anchor, log.checkpoint(), log._read)
    assert work.begin(log.checkpoint(300), log._read) == (record, False)


def test_what_was_cut_after_it_was_sent_is_there_once(
    node: HiveNode, purse: HivePurse, log: SmallLog, tmp_path: Path
) -> None:
    work = Anchoring(purse, Journal(tmp_path), lambda: 0.0, lambda _: node.make())
    record, _ = work.begin(log.checkpoint(), log._read)
    purse.send(record.attempts[0])
    purse.send(record.attempts[0])
    (again,) = work.unfinished()
    assert work.finish(again, 60).stage is Stage.FINAL
    assert sum(len(block) for block in node.blocks) == 1


def test_what_was_taken_back_or_expired_is_sent_again(
    node: HiveNode, purse: HivePurse, log: SmallLog, tmp_path: Path
) -> None:
    work = Anchoring(purse, Journal(tmp_path), lambda: 0.0, lambda _: node.make())
    record = work.finish(work.begin(log.checkpoint(), log._read)[0], 60, Stage.INCLUDED)
    node.take_back()
    assert purse.look(record.attempts).stage is Stage.SENT
    node.make(300)  # beyond its expiry
    assert purse.look(record.attempts).stage is Stage.VOID
    done = work.finish(record, 60)
    assert done.stage is Stage.FINAL
    assert done.attempts[0].id != record.attempts[0].id
    assert sum(len(block) for block in node.blocks) == 1


def test_a_key_that_is_not_the_accounts_is_refused_by_the_node(
    node: HiveNode, rpc: NodeRpc, log: SmallLog
) -> None:
    purse = HivePurse(NAME, CHAIN_ID, rpc, "ada.logs", Secret(bytes([9]) * 32))
    with pytest.raises(ChainRefused, match="Missing Posting Authority"):
        purse.send(purse.prepare(anchor_of(log.checkpoint()), 0))
    node.refuse = "Account does not have enough RC"
    with pytest.raises(ChainRefused, match="enough RC"):
        purse.send(purse.prepare(anchor_of(log.checkpoint()), 0))


def test_a_node_that_lies_or_is_of_another_chain_is_found_out(
    node: HiveNode, purse: HivePurse, rpc: NodeRpc, log: SmallLog
) -> None:
    attempt = purse.prepare(anchor_of(log.checkpoint(300)), 0)
    purse.send(attempt)
    node.make(3)
    chain = HiveChain(NAME, CHAIN_ID, rpc)
    other = f'{{"anchor":"{anchor_of(log.checkpoint(301)).encode().hex()}"}}'
    said = {"required_auths": [], "required_posting_auths": ["ada.logs"], "id": "bellwire-anchor"}
    lies: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"expiration": "2030-01-01T00:00:00"}, ChainUntrue),
        ({"expiration": "soon"}, ChainUnreachable),
        ({"operations": [operation(said | {"json": other})]}, ChainUntrue),
        ({"operations": [operation(said | {"json": 7})]}, ChainUnreachable),
        ({"operations": []}, AnchorMalformed),
        ({"ref_block_num": -1}, ChainUnreachable),
    ]
    for lie, error in lies:
        node.spoil = lie
        with pytest.raises(error):
            chain.find(attempt.id)
    node.spoil = {}
    assert chain.find(attempt.id).anchor.size == 300
    with pytest.raises(AnchorAbsent):
        chain.find("ab" * 20)
    with pytest.raises(AnchorUnusable):
        chain.find("0x12")
    with pytest.raises(ChainUntrue, match="expected a node of hive:beeab0de"):
        HiveChain("hive:beeab0de", "beeab0de", rpc).find(attempt.id)


def operation(said: dict[str, Any]) -> dict[str, Any]:
    return {"type": "custom_json_operation", "value": said}


@pytest.mark.parametrize("account", ["", "ab", "Ada", "a" * 17, "ada.", "1da"])
def test_what_is_no_account_is_refused(rpc: NodeRpc, account: str) -> None:
    with pytest.raises(AnchorUnusable):
        HivePurse(NAME, CHAIN_ID, rpc, account, SECRET)


def test_what_is_no_private_key_is_refused_and_not_repeated() -> None:
    wif = VECTORS["custom_json"]["wif"]
    for text in ("", "5", wif[:-1] + "4", "0x" + "ab" * 32, VECTORS["custom_json"]["public"]):
        with pytest.raises(AnchorUnusable) as caught:
            parse_wif(text)
        assert text[:20] not in str(caught.value) or len(text) < 2
