"""What a log signs: each checkpoint grows out of the last, over restored backups too."""

import shutil
from pathlib import Path

import pytest
from tests.ledger.store.logs import batch

from bellwire.base.private import PathExposed, PathUnusable
from bellwire.ledger.errors import LedgerError
from bellwire.ledger.note import parse_note
from bellwire.ledger.policy import of_witnesses, verify_checkpoint
from bellwire.ledger.proving import Prover
from bellwire.ledger.service.errors import LogBehind, LogUnnamed
from bellwire.ledger.service.signer import LogSigner, open_identity
from bellwire.ledger.store.store import LogStore

ORIGIN = "log.example/one"


class Place:
    """A store and a signer's folder, opened together."""

    def __init__(self, folder: Path, origin: str | None = None) -> None:
        self.folder = folder
        self.store = LogStore(folder / "log")
        try:
            identity = open_identity(folder / "signer", origin)
            self.root = Prover(self.store.tile).root
            self.signer = LogSigner(folder / "signer", identity, self.store.head, self.root)
        except BaseException:
            self.store.close()
            raise

    def sign(self, now: float = 1_800_000_000.5) -> bytes:
        return self.signer.sign(self.store.head, self.root, now).encode()


def test_a_checkpoint_is_signed_by_both_keys_and_kept(tmp_path: Path) -> None:
    place = Place(tmp_path, ORIGIN)
    place.store.append([batch(1, 300)])
    note = place.sign()
    keys = place.signer.identity.keys
    for key in keys:
        found = verify_checkpoint(parse_note(note), of_witnesses([key], (), 0))
        assert (found.checkpoint.origin, found.checkpoint.size) == (ORIGIN, 300)
        assert found.checkpoint.root == place.store.head.root
    assert (tmp_path / "signer" / "signed").read_bytes() == note
    place.store.close()
    again = Place(tmp_path)
    assert again.signer.identity.keys == keys
    assert again.signer.note is not None
    assert again.signer.note.encode() == note
    assert again.signer.signed.size == 300
    again.store.close()


def test_a_store_that_shrinks_under_a_running_log_is_not_signed(tmp_path: Path) -> None:
    place = Place(tmp_path, ORIGIN)
    place.store.append([batch(1, 5)])
    before = place.store.head
    place.store.append([batch(6, 5)])
    place.sign()
    with pytest.raises(LogBehind):
        place.signer.sign(before, place.root, 0.0)
    place.store.close()


def test_what_cannot_be_kept_is_not_shown(tmp_path: Path) -> None:
    place = Place(tmp_path, ORIGIN)
    place.store.append([batch(1, 5)])
    shutil.rmtree(tmp_path / "signer")
    with pytest.raises(PathUnusable):
        place.sign()
    assert place.signer.note is None
    assert place.signer.signed.size == 0
    place.store.close()


def test_a_log_has_one_name_for_ever(tmp_path: Path) -> None:
    with pytest.raises(LogUnnamed, match="got none"):
        open_identity(tmp_path / "signer", None)
    first = open_identity(tmp_path / "signer", ORIGIN)
    assert open_identity(tmp_path / "signer", ORIGIN).keys == first.keys
    assert open_identity(tmp_path / "signer", None).keys == first.keys
    with pytest.raises(LogUnnamed, match=r"expected log\.example/one"):
        open_identity(tmp_path / "signer", "log.example/two")


def test_a_name_that_cannot_be_one_leaves_no_key(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        open_identity(tmp_path / "signer", "two words")
    assert list((tmp_path / "signer").iterdir()) == []


def test_a_key_that_others_may_read_or_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    open_identity(tmp_path / "signer", ORIGIN)
    key = tmp_path / "signer" / "log.key"
    key.chmod(0o644)
    with pytest.raises(PathExposed):
        open_identity(tmp_path / "signer", None)
    key.chmod(0o600)
    key.write_bytes(key.read_bytes()[:-1])
    with pytest.raises(LogUnnamed, match="another length"):
        open_identity(tmp_path / "signer", None)


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    identity = open_identity(tmp_path / "signer", ORIGIN)
    secret = (tmp_path / "signer" / "log.key").read_bytes()
    for text in (repr(identity), repr(identity.signers), str(identity.keys[0])):
        assert secret[:32].hex() not in text
        assert repr(secret[:32]) not in text
