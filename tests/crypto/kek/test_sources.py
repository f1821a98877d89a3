"""Where key-encryption keys come from: each gives one back, none gives a wrong one."""

import builtins
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keyring
import keyring.backends.fail
import keyring.errors
import pytest
from tests.crypto.kek.conftest import KINDS, PASSPHRASE, Hsm, MemoryKeyring, own, passphrase

from bellwire.base.errors import BellwireError, RefusedError
from bellwire.base.private import PathExposed
from bellwire.base.secret import Secret
from bellwire.crypto.kek import given
from bellwire.crypto.kek.errors import KekRefused, KekUnavailable, KekUnusable
from bellwire.crypto.kek.given import Given
from bellwire.crypto.kek.key_file import KeyFiles, erase
from bellwire.crypto.kek.os_keyring import OsKeyring
from bellwire.crypto.kek.passphrase import ITERATIONS, LANES, MEMORY_KIB, Passphrase
from bellwire.crypto.kek.record import FileKek, PassphraseKek, kind_of
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.kek.sources import parse_source


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_back_what_it_made_and_makes_another_next_time(
    kind: str, make_source: Callable[[str], KekSource]
) -> None:
    source = make_source(kind)
    first, described = source.new()
    second, otherwise = source.new()
    assert len(first) == len(second) == 32
    assert first != second
    assert source.kind == kind == kind_of(described)
    assert source.recover(described) == first
    assert source.recover(otherwise) == second


def test_stores_that_are_unlocked_at_the_same_moment_all_get_their_keys(folder: Path) -> None:
    source = passphrase(folder, memory_kib=64, lanes=4)
    key, described = source.new()
    with ThreadPoolExecutor(12) as threads:
        assert all(found == key for found in threads.map(source.recover, [described] * 12))


@pytest.mark.parametrize("kind", ["file", "keyring", "pkcs11"])
def test_a_retired_key_is_gone_and_no_other_is(
    kind: str, make_source: Callable[[str], KekSource]
) -> None:
    source = make_source(kind)
    _, described = source.new()
    other, kept = source.new()
    assert not isinstance(described, PassphraseKek)
    for _ in range(2):
        source.retire(described.key)
    with pytest.raises(RefusedError, match="expected"):
        source.recover(described)
    assert source.recover(kept) == other


# Files


def test_a_key_file_belongs_to_its_owner_alone(folder: Path) -> None:
    source = KeyFiles(folder / "deep" / "er")
    secret, kek = source.new()
    (path,) = source.folder.iterdir()
    assert path.read_bytes() == secret.reveal()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(source.folder.stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(PathExposed, match="got 0640"):
        source.recover(kek)


@pytest.mark.parametrize("size", [0, 31, 33, 1000])
def test_a_key_file_of_another_size_is_refused(folder: Path, size: int) -> None:
    source = KeyFiles(folder / "keys")
    _, kek = source.new()
    assert isinstance(kek, FileKek)
    (source.folder / f"kek-{kek.key}").write_bytes(bytes(size))
    with pytest.raises(KekRefused, match=f"of 32 bytes in .*, got {min(size, 33)} bytes"):
        source.recover(kek)


def test_a_folder_that_others_may_enter_gets_no_key(folder: Path) -> None:
    (folder / "open").mkdir(mode=0o755)
    with pytest.raises(PathExposed):
        KeyFiles(folder / "open").new()
    assert list((folder / "open").iterdir()) == []


def test_an_erased_file_was_overwritten_and_a_link_is_not_followed(folder: Path) -> None:
    path = own(folder / "secret", "of the sea")
    kept = folder / "kept"
    kept.hardlink_to(path)
    erase(path)
    assert not path.exists()
    assert kept.read_bytes() == bytes(10)
    victim = own(folder / "victim", "unharmed")
    (folder / "link").symlink_to(victim)
    with pytest.raises(PathExposed):
        erase(folder / "link")
    assert victim.read_text() == "unharmed"


# What operators give


def test_a_secret_is_read_from_a_file_a_descriptor_a_credential_or_the_terminal(
    folder: Path,
) -> None:
    def never(prompt: str) -> str:
        raise AssertionError(prompt)

    path = own(folder / "words", "some words\r\n")
    reading, writing = os.pipe()
    os.write(writing, b"some words\n")
    os.close(writing)
    credential = own(folder / "cred", "some words")
    for each in (
        Given("PIN", str(path), "cred", folder, never),
        Given("PIN", f"fd:{reading}", "cred", folder, never),
        Given("PIN", "", "cred", folder, never),
        Given("PIN", "", "none", folder, lambda prompt: "some words"),
        Given("PIN", "", "cred", None, lambda prompt: "some words"),
    ):
        assert each.read() == Secret(b"some words")
    os.close(reading)
    # As systemd shows a credential that an access control list opens to the service's user.
    credential.chmod(0o440)
    assert Given("PIN", "", "cred", folder, never).read() == Secret(b"some words")
    for mode in (0o444, 0o460, 0o602):
        credential.chmod(mode)
        with pytest.raises(PathExposed, match="others may read or write"):
            Given("PIN", "", "cred", folder, never).read()


def test_a_new_secret_is_asked_for_twice() -> None:
    typed = iter(["correct horse", "correct horse", "correct horse", "correct house"])
    asked = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return next(typed)

    secret = Given("passphrase", "", "none", None, ask)
    assert secret.read(new=True) == Secret(b"correct horse")
    with pytest.raises(KekUnusable, match="twice, got two that differ"):
        secret.read(new=True)
    assert asked == ["New passphrase: ", "Once more: "] * 2


@pytest.mark.parametrize("words", ["", "\n", "x" * 1025])
def test_a_secret_has_bounds(folder: Path, words: str) -> None:
    path = own(folder / "words", words)
    with pytest.raises(KekUnusable, match="1 to 1024 bytes") as refused:
        Given("PIN", str(path), "none").read()
    assert "xx" not in str(refused.value)


def test_without_file_credential_and_terminal_it_is_said_what_to_do(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(given.sys, "stdin", None)  # type: ignore[attr-defined]
    with pytest.raises(KekUnusable, match="no terminal to ask at") as refused:
        Given("passphrase", "", "bellwire-passphrase", folder).read()
    assert "bellwire-passphrase" in str(refused.value.hint)
    with pytest.raises(KekUnusable, match="got no file"):
        Given("passphrase", str(folder / "none"), "bellwire-passphrase").read()


def test_a_descriptor_that_is_not_open_is_an_error_of_ours() -> None:
    with pytest.raises(BellwireError, match="fd:9999"):
        Given("passphrase", "fd:9999", "none").read()


# Passphrases


def test_a_passphrase_costs_what_the_module_says(folder: Path) -> None:
    """Against the library's own words for the same, in the form of PHC strings."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    source = Passphrase(passphrase(folder).given)
    secret, kek = source.new()
    assert isinstance(kek, PassphraseKek)
    assert (kek.memory_kib, kek.iterations, kek.lanes) == (MEMORY_KIB, ITERATIONS, LANES)
    assert (MEMORY_KIB, ITERATIONS, LANES) == (262144, 3, 4)
    derived = Argon2id(
        salt=bytes.fromhex(kek.salt), length=32, iterations=3, lanes=4, memory_cost=262144
    ).derive(PASSPHRASE.encode())
    assert secret == Secret(derived)


def test_another_passphrase_gives_another_key(folder: Path) -> None:
    secret, kek = passphrase(folder).new()
    assert passphrase(folder, PASSPHRASE + "r").recover(kek) != secret


def test_a_short_new_passphrase_is_refused_and_not_repeated(folder: Path) -> None:
    with pytest.raises(KekUnusable, match="at least 12 bytes, got 11") as refused:
        passphrase(folder, "correctwhat").new()
    assert "correctwhat" not in f"{refused.value} {refused.value.hint}"


# Keyring


def test_the_keyring_holds_the_key_under_its_id_and_nothing_else(
    memory_keyring: MemoryKeyring,
) -> None:
    secret, kek = OsKeyring().new()
    assert not isinstance(kek, PassphraseKek)
    assert memory_keyring.entries == {("bellwire", kek.key): secret.reveal().hex()}
    memory_keyring.entries["bellwire", kek.key] = "not hexadecimal"
    with pytest.raises(KekRefused, match="got none"):
        OsKeyring().recover(kek)


def test_a_keyring_that_is_locked_or_missing_is_unavailable(memory_keyring: MemoryKeyring) -> None:
    secret, kek = OsKeyring().new()
    assert not isinstance(kek, PassphraseKek)
    memory_keyring.fails = keyring.errors.KeyringLocked(f"{secret.reveal().hex()} is locked")
    for step in (
        OsKeyring().new,
        lambda: OsKeyring().recover(kek),
        lambda: OsKeyring().retire(kek.key),
    ):
        with pytest.raises(KekUnavailable, match="to answer, got KeyringLocked") as refused:
            step()
        assert secret.reveal().hex() not in str(refused.value)
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    with pytest.raises(KekUnavailable, match="expected a keyring of the operating system"):
        OsKeyring().new()


@pytest.mark.parametrize(("kind", "library"), [("keyring", "keyring"), ("pkcs11", "pkcs11")])
def test_without_its_library_a_source_names_the_extra(
    kind: str,
    library: str,
    make_source: Callable[[str], KekSource],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_source(kind)
    importing = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ModuleNotFoundError(name)
        return importing(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(KekUnusable, match="got none") as refused:
        source.new()
    assert f"bellwire[{kind}]" in str(refused.value.hint)


# Words of the setting


def test_the_setting_names_every_source(folder: Path, hsm: Hsm) -> None:
    assert parse_source("file", folder) == KeyFiles(folder)
    assert parse_source("file:/media/stick", folder) == KeyFiles(
        Path("/media/stick"), "file:/media/stick"
    )
    assert parse_source("keyring", folder) == OsKeyring()
    for text in ("passphrase", "passphrase:/run/words", "passphrase:fd:3", hsm.source().setting):
        assert parse_source(text, folder).setting == text
    credential = parse_source("passphrase", folder, Path("/run/credentials/x"))
    assert isinstance(credential, Passphrase)
    assert credential.given.credentials == Path("/run/credentials/x")
    assert credential.given.credential == "bellwire-passphrase"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "files",
        "file:",
        "passphrase:",
        "keyring:",
        "keyring:x",
        "pkcs11",
        "env:SECRET",
        "secret",
    ],
)
def test_other_words_are_refused_and_not_repeated(text: str, folder: Path) -> None:
    with pytest.raises(KekUnusable, match="as source of the key-encryption key, got another") as no:
        parse_source(text, folder)
    assert "SECRET" not in str(no.value)


@pytest.mark.parametrize("text", ["passphrase:fd:", "passphrase:fd:x", "passphrase:fd:-1"])
def test_a_descriptor_is_a_number(text: str, folder: Path) -> None:
    with pytest.raises(KekUnusable, match="passphrase:fd:N"):
        parse_source(text, folder)
