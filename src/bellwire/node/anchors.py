"""Put anchoring together from its folder and options: keys of chains, nodes, what was done so far.

The key of an account rests as every long-term key does (`iot.keeping`): one for EVM chains, one for
Hive. It is made here or brought from a file; it is on no command line and in no log.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.clock import system_clock
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.base.secret import Secret
from bellwire.crypto.kek.envelope import Wrapped
from bellwire.crypto.kek.source import KekSource
from bellwire.iot.keeping import SETTING, unlock
from bellwire.ledger.anchors.anchoring import Anchoring
from bellwire.ledger.anchors.chain import Chain, Purse, Stage, chain_number, hive_id
from bellwire.ledger.anchors.errors import AnchorUnusable
from bellwire.ledger.anchors.evm import DEPTH, GWEI, EvmChain, EvmPurse, address_of, parse_key
from bellwire.ledger.anchors.hive import HiveChain, HivePurse, parse_wif, public_of
from bellwire.ledger.anchors.journal import Journal, Record
from bellwire.ledger.anchors.rpc import NodeRpc
from bellwire.ledger.policy import Policy, verify_checkpoint
from bellwire.ledger.reading import LogReader
from bellwire.node.serving import alone_in

JOURNAL_FOLDER: Final = "journal"
SECRET_BYTES: Final = 32
MAX_FILE: Final = 4096
MAX_FEE_GWEI: Final = 100.0


def _wrapped(kind: str) -> Wrapped:
    return Wrapped(
        what=f"key for {kind} anchors",
        form="bellwire wrapped chain key 1",
        file=f"{kind}.wrapped",
        bare=f"{kind}.key",
        setting=SETTING,
        sizes=(SECRET_BYTES, SECRET_BYTES),
        make=lambda: os.urandom(SECRET_BYTES),
    )


CHAIN_KEYS: Final = {kind: _wrapped(kind) for kind in ("evm", "hive")}
"""Private keys of accounts, by the kind of chain."""


@dataclass(frozen=True, slots=True)
class AnchorOptions:
    """What the command line says of anchoring.

    Attributes:
        folder: Of keys and of what was done.
        chain: Its name, in full.
        node: Address of a node of it, or a file with that.
        account: On Hive, whose posting key it is; None elsewhere.
        protection: What wraps the key; None: nothing.
        max_fee_gwei: What is paid at most per unit of gas.
        depth: On an EVM chain, from how many confirmations on an anchor is final.
        within_s: How long to try.
        enough: What to wait for.
    """

    folder: Path
    chain: str
    node: str
    account: str | None
    protection: KekSource | None
    max_fee_gwei: float = MAX_FEE_GWEI
    depth: int = DEPTH
    within_s: float = 900.0
    enough: Stage = Stage.FINAL


def kind_of(chain: str) -> str:
    """Which of `CHAIN_KEYS` is for a chain of this name."""
    return "hive" if chain_number(chain) is None else "evm"


def key_of(folder: Path, chain: str, protection: KekSource | None, *, fresh: bool) -> Secret:
    """The private key for anchors on a chain, made at the first call.

    Args:
        folder: Where it rests.
        chain: The chain's name.
        protection: What wraps it; None: nothing.
        fresh: Whether to make one where there is none.

    Raises:
        AnchorUnusable: there is none.
        KekRefused, KekUnusable, KekUnavailable: it does not open.
        PathUnusable, PathExposed: a file cannot be used, or others may read it.
    """
    wrapped = CHAIN_KEYS[kind_of(chain)]
    there = any((folder / name).exists() for name in (wrapped.bare, wrapped.file))
    secret = unlock(folder, wrapped, protection, fresh=True) if there or fresh else None
    if secret is None:
        raise AnchorUnusable(
            f"expected a {wrapped.what} in {folder}, got none",
            hint=f"Make one, or bring one: bellwire log anchor key --chain {chain}",
        )
    return secret


def import_key(folder: Path, chain: str, source: Path, protection: KekSource | None) -> None:
    """Take over an account's private key from a file of its owner's.

    Raises:
        AnchorUnusable: there is a key already, or the file has none.
        PathUnusable, PathExposed: a file cannot be used, or others may read it.
    """
    wrapped = CHAIN_KEYS[kind_of(chain)]
    text = _line(source)
    secret = parse_key(text) if kind_of(chain) == "evm" else parse_wif(text)
    public(chain, secret)  # refuses what is no key
    taken = (own_folder(folder) / wrapped.file).exists()
    if taken or not write_whole(folder / wrapped.bare, secret.reveal(), replace=False):
        raise AnchorUnusable(
            f"expected no {wrapped.what} in {folder} yet, got one",
            hint="Move it away first: an account may hold means, and no copy is kept here.",
        )
    key_of(folder, chain, protection, fresh=False)


def public(chain: str, secret: Secret) -> str:
    """What others know of a key: an EVM account's address, a public key of Hive.

    Raises:
        AnchorUnusable: it is no private key.
        ChainLibraryMissing: the chain's library is not installed.
    """
    return address_of(secret) if kind_of(chain) == "evm" else public_of(secret)


@contextlib.contextmanager
def open_chain(name: str, node: str, depth: int = DEPTH) -> Iterator[Chain]:
    """A chain by a node of it, to find anchors.

    Args:
        name: Of the chain, in full.
        node: The node's address, or a file of its owner's with that.
        depth: From how many confirmations on an anchor on an EVM chain is final.

    Raises:
        AnchorUnusable: the address is none.
        ChainLibraryMissing: the chain's library is not installed.
    """
    number = chain_number(name)
    with NodeRpc(_address(node)) as rpc:
        if number is not None:
            yield EvmChain(name, number, rpc, depth)
        else:
            yield HiveChain(name, hive_id(name) or "", rpc)


@contextlib.contextmanager
def open_anchoring(options: AnchorOptions) -> Iterator[tuple[Anchoring, Purse]]:
    """Anchoring by the account of a folder, held meanwhile.

    Raises:
        AnchorUnusable: there is no key, no account, or no address.
        UsageError: another process anchors from this folder.
        KekRefused, KekUnusable, KekUnavailable: the key does not open.
        PathUnusable, PathExposed: a file cannot be used, or others may read it.
    """
    number = chain_number(options.chain)
    folder = own_folder(options.folder)
    with alone_in(folder, "log anchor"), NodeRpc(_address(options.node)) as rpc:
        secret = key_of(folder, options.chain, options.protection, fresh=False)
        purse: Purse
        if number is not None:
            most = round(options.max_fee_gwei * GWEI)
            purse = EvmPurse(options.chain, number, rpc, secret, most, depth=options.depth)
        elif options.account is None:
            raise AnchorUnusable("expected --account with the account of Hive that anchors")
        else:
            hive = hive_id(options.chain) or ""
            purse = HivePurse(options.chain, hive, rpc, options.account, secret)
        journal = Journal(folder / JOURNAL_FOLDER)
        yield Anchoring(purse, journal, system_clock, time.sleep), purse


def anchor_once(
    options: AnchorOptions, reader: LogReader, trust: Policy, told: Callable[[Record], None]
) -> tuple[Record, bool]:
    """Finish what is under way, and anchor the checkpoint that a log shows now.

    Args:
        options: Which chain, which account, how long.
        reader: Of the log.
        trust: Who must have signed and cosigned the checkpoint.
        told: Called with each anchor that was under way, as far as it came.

    Returns:
        The checkpoint's anchor, and whether it is new.

    Raises:
        BellwireError: as `Anchoring`, `verify_checkpoint` and `open_anchoring`.
    """
    with open_anchoring(options) as (anchoring, purse):
        for record in anchoring.unfinished():
            told(anchoring.finish(record, options.within_s, options.enough))
        checkpoint = verify_checkpoint(reader.note(), trust).checkpoint
        size = checkpoint.size
        record, new = anchoring.begin(checkpoint, lambda tile: reader.tile(tile, size))
        if record.sender == purse.sender and record.stage is not Stage.FINAL:
            record = anchoring.finish(record, options.within_s, options.enough)
        return record, new


def anchors_in(folder: Path) -> list[Record]:
    """Every anchor of a folder.

    Raises:
        AnchorJournalDamaged: a file is not what was written.
        PathUnusable, PathExposed: it cannot be read, or others may.
    """
    if not (folder / JOURNAL_FOLDER).is_dir():
        return []
    return list(Journal(folder / JOURNAL_FOLDER).all())


def _address(text: str) -> str:
    """The address of a node, which a file holds where it has a secret in it."""
    if text.startswith(("http://", "https://")):
        return text
    return _line(Path(text))


def _line(path: Path) -> str:
    data = read_own_file(path, MAX_FILE)
    if data is None:
        raise AnchorUnusable(f"expected a file at {path}, got none")
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError:
        raise AnchorUnusable(f"expected one line of text in {path}, got other bytes") from None
