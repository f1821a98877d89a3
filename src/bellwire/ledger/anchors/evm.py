"""Anchors on an EVM chain: 76 bytes of data in a transaction from an account to itself.

No contract: one would cost more for each anchor than the data does, must be found and trusted by
every reader, and could say nothing that the transaction does not say. A transaction's hash is of
all its content and its signature, so a node can lie about where it is, but not about what it says
or who sent it.

At most one transaction of an account and a nonce comes into the chain. So an attempt that is sent
again, or again with a higher fee, is paid at most once.

Source: EIP-1559 (type 2 transactions), EIP-155 (chain ids), EIP-2028 and EIP-7623 (what data
costs).
"""

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import get_extra
from bellwire.base.secret import Secret
from bellwire.ledger.anchors.anchor import Anchor, parse_anchor
from bellwire.ledger.anchors.chain import Attempt, Found, Place, Sight, Stage
from bellwire.ledger.anchors.errors import (
    AnchorAbsent,
    AnchorTooDear,
    AnchorUnusable,
    ChainLibraryMissing,
    ChainRefused,
    ChainUnreachable,
    ChainUntrue,
)
from bellwire.ledger.anchors.rpc import NodeRpc

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

DEPTH: Final = 32
"""Blocks: an epoch of Ethereum's, after which what was taken back lately never had been."""
GWEI: Final = 10**9
MAX_GAS: Final = 200_000
"""An anchor takes 22,000 to 24,000; chains that add the cost of another chain take more."""
PATIENCE_S: Final = 180
"""About fifteen of Ethereum's blocks; an attempt that waited so long offers too little."""
_RAISED: Final = (9, 8)
"""Nodes take another attempt of a nonce if it offers a tenth more; this is an eighth."""
_HASH: Final = re.compile(r"0x[0-9a-f]{64}")
_KNOWN: Final = ("already known", "already imported", "nonce too low", "underpriced")
"""What nodes say of an attempt that they have, or whose nonce is used: `look` tells which."""
_SECRET_BYTES: Final = 32


class EvmChain:
    """A chain, as one node shows it.

    Args:
        name: Of the chain, as `eip155:NUMBER`.
        number: The same number.
        node: A node of it.
        depth: From how many confirmations on an anchor counts as final.

    Raises:
        ChainLibraryMissing: web3 is not installed.
    """

    def __init__(self, name: str, number: int, node: NodeRpc, depth: int = DEPTH) -> None:
        self.name = name
        self._number = number
        self._where = node.where
        self._depth = depth
        self._w3: Any = _client(node)  # the library's types are its own
        self._checked = False

    def find(self, transaction: str) -> Found:
        """As `Chain.find`."""
        if not _HASH.fullmatch(transaction):
            raise AnchorUnusable(
                f"expected a transaction as 0x and 64 hexadecimal digits, got {transaction[:80]!r}"
            )
        self._check()
        with self._asking():
            from web3.exceptions import TransactionNotFound  # noqa: PLC0415 - an extra

            try:
                shown = self._w3.eth.get_transaction(_hash(transaction))
            except TransactionNotFound:
                raise _absent(self.name, transaction) from None
        sender = self._verify(transaction, shown)
        anchor = parse_anchor(bytes(shown["input"]))
        place = self._place(transaction)
        if place is None:
            raise _absent(self.name, transaction)
        return Found(anchor, place, sender, final=place.confirmations >= self._depth)

    def _check(self) -> None:
        """See once that the node is of this chain."""
        if self._checked:
            return
        with self._asking():
            number = self._w3.eth.chain_id
        if number != self._number:
            raise ChainUntrue(
                f"expected a node of chain {self._number} at {self._where}, got one of {number}"
            )
        self._checked = True

    def _place(self, transaction: str) -> Place | None:
        """Where a transaction is in the chain that the node holds for the right one."""
        from web3.exceptions import BlockNotFound, TransactionNotFound  # noqa: PLC0415 - an extra

        with self._asking():
            try:
                receipt = self._w3.eth.get_transaction_receipt(_hash(transaction))
                block = self._w3.eth.get_block(receipt["blockNumber"])
            except (TransactionNotFound, BlockNotFound):
                return None
            if block["hash"] != receipt["blockHash"]:
                return None  # the block that the receipt is of was taken back
            if receipt["status"] != 1:
                raise ChainRefused(self._where, 0, "the transaction is in the chain, but failed")
            head = self._w3.eth.block_number
            return Place(
                id=transaction,
                block=receipt["blockNumber"],
                block_id=block["hash"].to_0x_hex(),
                time=block["timestamp"],
                confirmations=max(0, head - receipt["blockNumber"] + 1),
                cost=str(receipt["gasUsed"] * receipt["effectiveGasPrice"]),
            )

    def _verify(self, transaction: str, shown: Mapping[str, Any]) -> str:
        """The sender of a transaction whose content has its hash.

        Raises:
            ChainUntrue: what the node shows has another hash.
        """
        from eth_account import Account  # noqa: PLC0415 - an extra
        from eth_account.typed_transactions.typed_transaction import (  # noqa: PLC0415
            TypedTransaction,
        )

        with self._asking():
            if shown["type"] != 2:
                raise AnchorAbsent(
                    f"expected a transaction of type 2, as anchors are, got {shown['type']}"
                )
            signed = {
                "type": 2,
                "chainId": self._number,
                **{name: shown[name] for name in ("nonce", "gas", "to", "value", "accessList")},
                "maxFeePerGas": shown["maxFeePerGas"],
                "maxPriorityFeePerGas": shown["maxPriorityFeePerGas"],
                "data": shown["input"],
                "v": shown["v"],
                "r": int.from_bytes(shown["r"], "big"),
                "s": int.from_bytes(shown["s"], "big"),
            }
            encoded = TypedTransaction.from_dict(signed).encode()
            sender = str(Account.recover_transaction(encoded))
        if self._w3.keccak(encoded) != _hash(transaction):
            raise ChainUntrue(
                f"expected from {self._where} what {transaction} is the hash of, got another"
            )
        return sender

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Around what reads a node's answers: what is not of an EVM node is told of as such."""
        from web3.exceptions import Web3Exception  # noqa: PLC0415 - an extra

        try:
            yield
        except (Web3Exception, LookupError, TypeError, ValueError, AttributeError) as error:
            raise ChainUnreachable(
                f"expected an answer as of an EVM node from {self._where}, got what is none"
                f" ({type(error).__name__})"
            ) from error


class EvmPurse(EvmChain):
    """A chain and an account of it, which pays.

    Args:
        name: Of the chain.
        number: Its number.
        node: A node of it.
        secret: (32,) the account's private key.
        most: What is paid at most per unit of gas, in wei.
        depth: As `EvmChain`.
        patience_s: How long an attempt waits before it offers more.
    """

    def __init__(
        self,
        name: str,
        number: int,
        node: NodeRpc,
        secret: Secret,
        most: int,
        *,
        depth: int = DEPTH,
        patience_s: int = PATIENCE_S,
    ) -> None:
        super().__init__(name, number, node, depth)
        self._account: Any = _account(secret)  # the library's types are its own
        self._most = most
        self._patience_s = patience_s
        self.sender = str(self._account.address)

    def prepare(self, anchor: Anchor, now: int, earlier: Attempt | None = None) -> Attempt:
        """As `Purse.prepare`; ChainUntrue if the node asks for more gas than an anchor takes."""
        self._check()
        data = "0x" + anchor.encode().hex()
        call: dict[str, Any] = {"from": self.sender, "to": self.sender, "value": 0, "data": data}
        with self._asking():
            base = self._w3.eth.get_block("latest")["baseFeePerGas"]
            tip = self._w3.eth.max_priority_fee
            nonce = self._w3.eth.get_transaction_count(self._account.address, "pending")
            gas = self._w3.eth.estimate_gas(call)
        fee = 2 * base + tip  # holds while the base fee doubles, which takes six full blocks
        if earlier is not None:
            more, of = _RAISED
            nonce = earlier.slot
            fee = max(fee, -(-earlier.fee * more // of))
            tip = max(tip, -(-earlier.tip * more // of))
        if base + tip > self._most or (earlier is not None and fee > self._most):
            raise AnchorTooDear(
                f"expected at most {self._most / GWEI:g} gwei per gas, got"
                f" {max(base + tip, 0 if earlier is None else fee) / GWEI:g}",
                hint="Wait, or allow more with --max-fee.",
            )
        fee = min(fee, self._most)
        if gas > MAX_GAS:
            raise ChainUntrue(f"expected at most {MAX_GAS:,} gas for an anchor, got {gas:,}")
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self._number,
                "nonce": nonce,
                "to": self.sender,
                "value": 0,
                "data": data,
                "gas": gas,
                "maxFeePerGas": fee,
                "maxPriorityFeePerGas": min(tip, fee),
            }
        )
        return Attempt(
            id=signed.hash.to_0x_hex(),
            raw=signed.raw_transaction.to_0x_hex(),
            slot=nonce,
            at=now,
            fee=fee,
            tip=tip,
        )

    def send(self, attempt: Attempt) -> None:
        """As `Purse.send`.

        Raises:
            ChainRefused: the account has not the means, or the node refuses it otherwise.
        """
        self._check()
        try:
            with self._asking():
                self._w3.eth.send_raw_transaction(attempt.raw)
        except ChainRefused as error:
            if not any(word in error.said.lower() for word in _KNOWN):
                raise

    def look(self, attempts: Sequence[Attempt]) -> Sight:
        """As `Purse.look`."""
        self._check()
        for attempt in reversed(attempts):
            if (place := self._place(attempt.id)) is not None:
                final = place.confirmations >= self._depth
                return Sight(Stage.FINAL if final else Stage.INCLUDED, place)
        with self._asking():
            deep = max(0, self._w3.eth.block_number - self._depth + 1)
            used = self._w3.eth.get_transaction_count(self._account.address, deep)
        # Another transaction of this nonce is there to stay: none of ours will ever be.
        return Sight(Stage.VOID if used > attempts[0].slot else Stage.SENT)

    def may_raise(self, attempt: Attempt, now: int) -> bool:
        """As `Purse.may_raise`."""
        return now - attempt.at >= self._patience_s


def address_of(secret: Secret) -> str:
    """The address of an account, by its private key of 32 bytes.

    Raises:
        AnchorUnusable: it is no private key.
        ChainLibraryMissing: web3 is not installed.
    """
    return str(_account(secret).address)


def parse_key(text: str) -> Secret:
    """A private key as wallets write it: 64 hexadecimal digits, with or without 0x.

    Raises:
        AnchorUnusable: it is none.
    """
    digits = text.removeprefix("0x")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digits):
        raise AnchorUnusable("expected a private key of 64 hexadecimal digits, got something else")
    return Secret(bytes.fromhex(digits))


def _account(secret: Secret) -> "LocalAccount":
    try:
        with _limit_of_recursion_kept():
            from eth_account import Account  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing() from error
    try:
        account: LocalAccount = Account.from_key(secret.reveal())
    except Exception:  # whatever is wrong with a key: what is raised may show it
        raise AnchorUnusable(
            f"expected a private key of {_SECRET_BYTES} bytes, got what is none"
        ) from None
    return account


def _client(node: NodeRpc) -> "Web3":
    """web3 over our own way to a node, which is bounded and shows no address."""
    try:
        with _limit_of_recursion_kept():
            from web3 import Web3  # noqa: PLC0415 - an extra
            from web3.providers.base import JSONBaseProvider  # noqa: PLC0415
    except ImportError as error:
        raise _missing() from error

    class Provider(JSONBaseProvider):
        def make_request(self, method: Any, params: Any) -> Any:
            result = node.ask(method, params or [])
            try:
                plain = msgspec.json.decode(result)
            except UNDECODABLE as error:
                raise ChainUnreachable(f"expected JSON from {node.where}, got another") from error
            return {"jsonrpc": "2.0", "id": 0, "result": plain}

    return Web3(Provider())


@contextlib.contextmanager
def _limit_of_recursion_kept() -> Iterator[None]:
    """Around imports of web3, of which one part sets the whole process's limit to 100,000.

    With that, JSON of many brackets from outside overflows the stack and ends the process, where it
    would be refused otherwise.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _hash(transaction: str) -> bytes:
    return bytes.fromhex(transaction.removeprefix("0x"))


def _absent(chain: str, transaction: str) -> AnchorAbsent:
    return AnchorAbsent(
        f"expected transaction {transaction} in a block of {chain}, got none",
        hint="It may not be in a block yet, or the node may be behind.",
    )


def _missing() -> ChainLibraryMissing:
    return ChainLibraryMissing(
        "expected the library web3 for an EVM chain, got none",
        hint=get_extra("evm"),
    )
