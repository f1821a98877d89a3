"""A node of Hive for the transport alone: it takes transactions as a node does, and makes blocks.

No chain of Hive can be reached from a test, and none runs on one machine without days of set-up. So
this speaks the four APIs that anchors use, and checks of a transaction what a node checks: chain,
reference block, expiry, signature, and that it is new.
"""

import datetime
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nectarbase.objects import Operation
from nectarbase.operations import Custom_json
from nectarbase.signedtransactions import Signed_Transaction
from nectargraphenebase.account import PublicKey

CHAIN_ID = "18dcf0a285365fc58b71f18b3d3fec954aa0c141c44e4e5cb4cf777b9eab274e"
START = 1_800_000_000


class HiveNode:
    """A chain in memory."""

    def __init__(self) -> None:
        self.url = ""
        self.begin({})

    def begin(self, accounts: dict[str, str]) -> None:
        """Begin anew, with the posting key of each account."""
        self.accounts = accounts
        self.blocks: list[list[dict[str, Any]]] = [[]]
        self.pool: dict[str, dict[str, Any]] = {}
        self.irreversible = 0
        self.refuse: str | None = None
        self.spoil: dict[str, Any] = {}

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    def block_id(self, number: int) -> str:
        return f"{number:08x}" + f"{number * 7919:08x}" + "ab" * 12

    def time(self, number: int) -> str:
        at = datetime.datetime.fromtimestamp(START + 3 * number, datetime.UTC)
        return at.strftime("%Y-%m-%dT%H:%M:%S")

    def make(self, blocks: int = 1) -> None:
        """Make blocks, the first of what waits; the last one is not irreversible yet."""
        for _ in range(blocks):
            now = self.time(self.head + 1)
            fresh = [each for each in self.pool.values() if each["expiration"] > now]
            self.blocks.append(fresh)
            self.pool.clear()
        self.irreversible = max(self.irreversible, self.head - 1)

    def take_back(self) -> None:
        """Another block takes the place of the last one; what was in it is forgotten."""
        self.blocks[-1] = []

    def find(self, wanted: str) -> int | None:
        for number, block in enumerate(self.blocks):
            if any(identity(each) == wanted for each in block):
                return number
        return None

    def answer(self, method: str, params: Any) -> Any:
        if method == "condenser_api.get_version":
            return {"blockchain_version": "1.28.3", "chain_id": CHAIN_ID}
        if method == "condenser_api.get_dynamic_global_properties":
            return {
                "head_block_number": self.head,
                "head_block_id": self.block_id(self.head),
                "time": self.time(self.head),
                "last_irreversible_block_num": self.irreversible,
            }
        if method == "condenser_api.broadcast_transaction":
            return self.take(params[0])
        if method == "transaction_status_api.find_transaction":
            return self.status(params["transaction_id"], params["expiration"])
        if method == "account_history_api.get_transaction":
            number = self.find(params["id"])
            if number is None:
                raise LookupError(f"Assert Exception: Unknown Transaction {params['id']}")
            return {"transaction_id": params["id"], "block_num": number}
        if method == "block_api.get_block":
            return {"block": self.show(params["block_num"])}
        raise LookupError(f"Could not find method {method}")

    def status(self, wanted: str, expiration: str) -> dict[str, Any]:
        if (number := self.find(wanted)) is not None:
            kept = number <= self.irreversible
            word = "within_irreversible_block" if kept else "within_reversible_block"
            return {"status": word, "block_num": number}
        if wanted in self.pool:
            return {"status": "within_mempool"}
        if expiration < self.time(self.irreversible):
            return {"status": "expired_irreversible"}
        return {"status": "unknown"}

    def show(self, number: int) -> dict[str, Any]:
        shown = [appbase(each) for each in self.blocks[number]]
        return {
            "block_id": self.block_id(number),
            "timestamp": self.time(number),
            "transaction_ids": [identity(each) for each in self.blocks[number]],
            "transactions": [each | self.spoil for each in shown],
        }

    def take(self, transaction: dict[str, Any]) -> dict[str, Any]:
        if self.refuse is not None:
            raise LookupError(self.refuse)
        own = identity(transaction)
        if own in self.pool or self.find(own) is not None:
            raise LookupError("Duplicate transaction check failed")
        if not self.time(self.head) < transaction["expiration"]:
            raise LookupError("transaction expiration exception")
        near = {self.block_id(each) for each in range(max(0, self.head - 10), self.head + 1)}
        reference = transaction["ref_block_num"], transaction["ref_block_prefix"]
        known = {
            (int(each[:8], 16) & 0xFFFF, int.from_bytes(bytes.fromhex(each)[4:8], "little"))
            for each in near
        }
        if reference not in known:
            raise LookupError("transaction tapos exception")
        ((_, said),) = transaction["operations"]
        signed = library(transaction).verify(
            chain={"chain_id": CHAIN_ID, "prefix": "STM"}, recover_parameter=True
        )
        keys = {str(PublicKey(each)) for each in signed}
        if {self.accounts.get(each) for each in said["required_posting_auths"]} != keys:
            raise LookupError("Missing Posting Authority")
        self.pool[own] = transaction
        return {}


def library(transaction: dict[str, Any]) -> Any:
    ((kind, said),) = transaction["operations"]
    assert kind == "custom_json"
    make: Any = Custom_json
    return Signed_Transaction(
        **{name: transaction[name] for name in ("ref_block_num", "ref_block_prefix")},
        expiration=transaction["expiration"],
        operations=[Operation(make(**said))],
        signatures=list(transaction["signatures"]),
    )


def identity(transaction: dict[str, Any]) -> str:
    return str(library(transaction).id)


def appbase(transaction: dict[str, Any]) -> dict[str, Any]:
    """As the newer APIs show what the older one takes."""
    operations = [
        {"type": f"{kind}_operation", "value": value} for kind, value in transaction["operations"]
    ]
    return transaction | {"operations": operations}


@contextmanager
def serving(node: HiveNode) -> Iterator[HiveNode]:
    """The node on a free port of this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
            try:
                said["result"] = node.answer(asked["method"], asked["params"])
            except LookupError as error:
                said["error"] = {"code": -32003, "message": str(error.args[0])}
            data = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    node.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield node
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
