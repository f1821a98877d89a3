"""Anchors on Hive: a custom_json operation in the name of an account, signed with its posting key.

A transaction's id is the hash of all its content but the signatures, so a node can lie about where
it is, but not about what it says. It can come into the chain until it expires, and once at most.
Nothing is paid; an account needs resource credits, as for any operation.

Serialisation and signatures are the library's (hive-nectar); the way to the node is ours, since the
library's takes any 501 in an answer for an error.

Source: Hive developer portal, "Understanding Transaction Status" and the API definitions of
condenser_api, block_api, account_history_api and transaction_status_api.
"""

import datetime
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import get_extra
from bellwire.base.secret import Secret
from bellwire.ledger.anchors.anchor import ANCHOR_BYTES, Anchor, parse_anchor
from bellwire.ledger.anchors.chain import Attempt, Found, Place, Sight, Stage
from bellwire.ledger.anchors.errors import (
    AnchorAbsent,
    AnchorMalformed,
    AnchorUnusable,
    ChainLibraryMissing,
    ChainRefused,
    ChainUnreachable,
    ChainUntrue,
)
from bellwire.ledger.anchors.rpc import NodeRpc

OPERATION: Final = "bellwire-anchor"
"""The id of our custom_json operations; Hive allows 32 characters."""
EXPIRES_S: Final = 600
"""Hive allows an hour; a transaction that no block took in ten minutes is better signed anew."""
_ACCOUNT: Final = re.compile(r"(?=.{3,16}$)[a-z][a-z0-9-]+[a-z0-9](\.[a-z][a-z0-9-]+[a-z0-9])*")
_ID: Final = re.compile(r"[0-9a-f]{40}")
_JSON: Final = re.compile(rf'\{{"anchor":"([0-9a-f]{{{2 * ANCHOR_BYTES}}})"\}}')
_KNOWN: Final = ("duplicate", "expir")
"""What nodes say of a transaction that they have, or that is too late: `look` tells which."""
_UNKNOWN: Final = "unknown transaction"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"

_Short = Annotated[str, Meta(max_length=200)]
_Id = Annotated[str, Meta(pattern="^[0-9a-f]{40}$")]
_Number = Annotated[int, Meta(ge=0, lt=2**32)]
_T = TypeVar("_T")


class _Version(msgspec.Struct, frozen=True):
    chain_id: _Short


class _Properties(msgspec.Struct, frozen=True):
    head_block_number: _Number
    head_block_id: _Id
    time: _Short
    last_irreversible_block_num: _Number


class _Status(msgspec.Struct, frozen=True):
    status: _Short
    block_num: _Number = 0


class _Located(msgspec.Struct, frozen=True):
    block_num: _Number


class _Operation(msgspec.Struct, frozen=True):
    type: _Short
    value: msgspec.Raw


class _CustomJson(msgspec.Struct, frozen=True):
    required_auths: list[_Short]
    required_posting_auths: list[_Short]
    id: _Short
    json: Annotated[str, Meta(max_length=8192)]


class _Transaction(msgspec.Struct, frozen=True):
    ref_block_num: Annotated[int, Meta(ge=0, lt=2**16)]
    ref_block_prefix: _Number
    expiration: _Short
    operations: list[_Operation]


class _Block(msgspec.Struct, frozen=True):
    block_id: _Id
    timestamp: _Short
    transaction_ids: list[_Id]
    transactions: list[msgspec.Raw]


class _Got(msgspec.Struct, frozen=True):
    block: _Block | None = None


class HiveChain:
    """A chain, as one node shows it.

    Args:
        name: Of the chain, as `hive:CHAINID`.
        chain_id: Its id, 64 hexadecimal digits.
        node: A node of it.

    Raises:
        ChainLibraryMissing: hive-nectar is not installed.
    """

    def __init__(self, name: str, chain_id: str, node: NodeRpc) -> None:
        self.name = name
        self._chain_id = chain_id
        self._node = node
        self._checked = False
        library()

    def find(self, transaction: str) -> Found:
        """As `Chain.find`."""
        if not _ID.fullmatch(transaction):
            raise AnchorUnusable(
                f"expected a transaction as 40 hexadecimal digits, got {transaction[:80]!r}"
            )
        self._check()
        block = self._block_of(transaction)
        if block is None:
            raise _absent(self.name, transaction)
        said, place, final = self._at(transaction, block)
        carried = _JSON.fullmatch(said.json)
        if said.id != OPERATION or carried is None:
            raise AnchorMalformed(f"expected a custom_json {OPERATION} of an anchor, got another")
        senders = [*said.required_auths, *said.required_posting_auths]
        return Found(parse_anchor(bytes.fromhex(carried[1])), place, " ".join(senders), final)

    def _check(self) -> None:
        """See once that the node is of this chain."""
        if self._checked:
            return
        found = self._ask("condenser_api.get_version", [], _Version).chain_id
        if found != self._chain_id:
            raise ChainUntrue(
                f"expected a node of {self.name} at {self._node.where}, got one of {found}"
            )
        self._checked = True

    def _block_of(self, transaction: str) -> int | None:
        words = {"id": transaction, "include_reversible": True}
        try:
            return self._ask("account_history_api.get_transaction", words, _Located).block_num
        except ChainRefused as error:
            if _UNKNOWN not in error.said.lower():
                raise
        return None

    def _at(self, transaction: str, number: int) -> tuple[_CustomJson, Place, bool]:
        """A transaction in a block: what it says, where it is, whether that is irreversible.

        Raises:
            AnchorAbsent: the block has it not.
            AnchorMalformed: it is not one custom_json operation.
            ChainUntrue: what the node shows has another id.
        """
        head = self._properties()
        block = self._ask("block_api.get_block", {"block_num": number}, _Got).block
        if block is None or transaction not in block.transaction_ids:
            raise _absent(self.name, transaction)
        at = block.transaction_ids.index(transaction)
        if at >= len(block.transactions):
            raise self._strange()
        shown = self._read(block.transactions[at], _Transaction)
        kinds = [each.type for each in shown.operations]
        if kinds != ["custom_json_operation"]:
            raise AnchorMalformed(f"expected one custom_json operation, got {kinds[:5]}")
        said = self._read(shown.operations[0].value, _CustomJson)
        try:
            made = transaction_of(
                shown.ref_block_num, shown.ref_block_prefix, shown.expiration, said
            )
            found = made.id
        except (ValueError, TypeError) as error:
            raise self._strange() from error
        if found != transaction:
            raise ChainUntrue(
                f"expected from {self._node.where} what {transaction} is the id of, got another"
            )
        place = Place(
            id=transaction,
            block=number,
            block_id=block.block_id,
            time=self._seconds(block.timestamp),
            confirmations=max(0, head.head_block_number - number + 1),
        )
        return said, place, number <= head.last_irreversible_block_num

    def _properties(self) -> _Properties:
        return self._ask("condenser_api.get_dynamic_global_properties", [], _Properties)

    def _ask(self, method: str, params: object, kind: type[_T]) -> _T:
        return self._read(self._node.ask(method, params), kind)

    def _read(self, data: msgspec.Raw, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(data, type=kind)
        except UNDECODABLE as error:
            raise self._strange() from error

    def _seconds(self, text: str) -> int:
        try:
            at = datetime.datetime.strptime(text, _TIME).replace(tzinfo=datetime.UTC)
        except ValueError as error:
            raise self._strange() from error
        return max(0, int(at.timestamp()))

    def _strange(self) -> ChainUnreachable:
        return ChainUnreachable(
            f"expected an answer as of a Hive node from {self._node.where}, got what is none"
        )


class HivePurse(HiveChain):
    """A chain and an account of it.

    Args:
        name: Of the chain.
        chain_id: Its id.
        node: A node of it.
        account: Whose posting key it is.
        secret: (32,) the key.

    Raises:
        AnchorUnusable: the account cannot be one.
    """

    def __init__(
        self, name: str, chain_id: str, node: NodeRpc, account: str, secret: Secret
    ) -> None:
        super().__init__(name, chain_id, node)
        if not _ACCOUNT.fullmatch(account):
            raise AnchorUnusable(
                f"expected an account of Hive, 3 to 16 of a-z, 0-9, - and ., got {account[:40]!r}"
            )
        self.sender = account
        self._secret = secret

    def prepare(self, anchor: Anchor, now: int, earlier: Attempt | None = None) -> Attempt:
        """As `Purse.prepare`; there is never an earlier one, since nothing is offered."""
        assert earlier is None
        self._check()
        head = self._properties()
        expires = self._seconds(head.time) + EXPIRES_S
        said = _CustomJson([], [self.sender], OPERATION, f'{{"anchor":"{anchor.encode().hex()}"}}')
        made = transaction_of(
            head.head_block_number & 0xFFFF,
            int.from_bytes(bytes.fromhex(head.head_block_id)[4:8], "little"),
            datetime.datetime.fromtimestamp(expires, datetime.UTC).strftime(_TIME),
            said,
        )
        chain = {"chain_id": self._chain_id, "prefix": "STM"}
        made.sign([_wif(self._secret)], chain=chain)
        raw = msgspec.json.encode(made.json()).decode()
        return Attempt(id=made.id, raw=raw, slot=expires, at=now)

    def send(self, attempt: Attempt) -> None:
        """As `Purse.send`.

        Raises:
            ChainRefused: the key is not the account's, or it has no credits left.
        """
        self._check()
        try:
            self._node.ask(
                "condenser_api.broadcast_transaction", [msgspec.Raw(attempt.raw.encode())]
            )
        except ChainRefused as error:
            if not any(word in error.said.lower() for word in _KNOWN):
                raise

    def look(self, attempts: Sequence[Attempt]) -> Sight:
        """As `Purse.look`."""
        self._check()
        (attempt,) = attempts
        expires = datetime.datetime.fromtimestamp(attempt.slot, datetime.UTC).strftime(_TIME)
        words = {"transaction_id": attempt.id, "expiration": expires}
        found = self._ask("transaction_status_api.find_transaction", words, _Status)
        if found.status == "expired_irreversible":
            return Sight(Stage.VOID)
        block: int | None = found.block_num
        if found.status == "too_old":  # the node forgot how it ended; the history has not
            block = self._block_of(attempt.id)
            if block is None:
                return Sight(Stage.VOID)
        if not block:
            return Sight(Stage.SENT)
        try:
            _, place, final = self._at(attempt.id, block)
        except AnchorAbsent:  # taken back between two questions
            return Sight(Stage.SENT)
        return Sight(Stage.FINAL if final else Stage.INCLUDED, place)

    def may_raise(self, attempt: Attempt, now: int) -> bool:
        """As `Purse.may_raise`: nothing is offered."""
        del attempt, now
        return False


def public_of(secret: Secret) -> str:
    """The public key of a private key of 32 bytes, as Hive writes it.

    Raises:
        ChainLibraryMissing: hive-nectar is not installed.
    """
    library()
    from nectargraphenebase.account import PrivateKey  # noqa: PLC0415 - an extra

    return str(PrivateKey(_wif(secret)).pubkey)


def parse_wif(text: str) -> Secret:
    """A private key in the wallet import format, as Hive's wallets write it.

    Raises:
        AnchorUnusable: it is none.
        ChainLibraryMissing: hive-nectar is not installed.
    """
    library()
    from nectargraphenebase.base58 import Base58  # noqa: PLC0415 - an extra

    try:
        data = bytes.fromhex(repr(Base58(text)))
    except Exception:  # whatever is wrong with a key: what is raised may show it
        data = b""
    if len(data) != 32 or not text.startswith("5"):
        raise AnchorUnusable("expected a private key as Hive's wallets write it: 5…, got another")
    return Secret(data)


def transaction_of(number: int, prefix: int, expiration: str, said: _CustomJson) -> Any:
    """The library's transaction of one custom_json operation, not signed."""
    nectar = library()
    from nectarbase.objects import Operation  # noqa: PLC0415 - an extra
    from nectarbase.operations import Custom_json  # noqa: PLC0415

    operation: Any = Custom_json  # the library has no types for it
    return nectar.Signed_Transaction(
        ref_block_num=number,
        ref_block_prefix=prefix,
        expiration=expiration,
        operations=[Operation(operation(**msgspec.structs.asdict(said)))],
    )


def library() -> ModuleType:
    """The library that serialises and signs.

    Raises:
        ChainLibraryMissing: it is not installed.
    """
    try:
        from nectarbase import signedtransactions  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ChainLibraryMissing(
            "expected the library hive-nectar for Hive, got none",
            hint=get_extra("hive"),
        ) from error
    found: ModuleType = signedtransactions
    return found


def _wif(secret: Secret) -> str:
    from nectargraphenebase.base58 import Base58  # noqa: PLC0415 - an extra

    return format(Base58(secret.reveal().hex()), "wif")


def _absent(chain: str, transaction: str) -> AnchorAbsent:
    return AnchorAbsent(
        f"expected transaction {transaction} in a block of {chain}, got none",
        hint="It may not be in a block yet, or the node may be behind.",
    )
