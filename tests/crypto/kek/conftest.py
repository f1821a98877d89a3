"""Every source of a key-encryption key, each with a place of its own for each test.

The token is SoftHSM's, with a folder of tokens per test. The keyring's backend keeps entries in
memory; it is put in place by the library's own `set_keyring`.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.errors
import pytest

from bellwire.crypto.kek.given import Given
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.crypto.kek.os_keyring import OsKeyring
from bellwire.crypto.kek.passphrase import Passphrase
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.kek.sources import parse_source
from bellwire.crypto.kek.token import Token

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "4711-0815"
PASSPHRASE = "correct horse battery staple"
KINDS = ("file", "passphrase", "keyring", "pkcs11")


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a thing: what is wrapped is synced a lot."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="bw", dir=memory) as name:
        yield Path(name)


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A backend as the library asks for one."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # the library's own
        self.entries: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.fails is not None:
            raise self.fails
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.entries:
            raise keyring.errors.PasswordDeleteError
        del self.entries[service, username]


@pytest.fixture
def memory_keyring() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def own(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@dataclass
class Hsm:
    """A folder of SoftHSM's tokens."""

    folder: Path
    pins: list[str] = field(default_factory=list)

    def add(self, label: str, pin: str = PIN) -> None:
        arguments = [
            "--init-token",
            "--free",
            "--label",
            label,
            "--pin",
            pin,
            "--so-pin",
            "87654321",
        ]
        subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)

    def source(self, label: str = "bellwire-test", pin: str = PIN) -> Token:
        self.pins += [] if pin in self.pins else [pin]
        pin_file = own(self.folder / f"pin-{self.pins.index(pin)}", pin + "\n")
        uri = f"pkcs11:token={label};object=kek?module-path={MODULE}&pin-source=file:{pin_file}"
        made = parse_source(uri, self.folder)
        assert isinstance(made, Token)
        return made


@pytest.fixture
def hsm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Hsm:
    home = folder / "hsm"
    (home / "tokens").mkdir(parents=True, mode=0o700)
    config = home / "softhsm2.conf"
    config.write_text(
        f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", os.fspath(config))
    made = Hsm(home)
    made.add("bellwire-test")
    return made


def passphrase(folder: Path, words: str = PASSPHRASE, **parameters: int) -> Passphrase:
    """Cheap to derive: what it costs in earnest is its defaults'."""
    path = own(folder / f"passphrase-{len(words)}", words + "\n")
    cheap = {"memory_kib": 8192, "iterations": 1, "lanes": 1} | parameters
    return Passphrase(Given("passphrase", str(path), "none"), f"passphrase:{path}", **cheap)


@pytest.fixture
def make_source(folder: Path, request: pytest.FixtureRequest) -> Callable[[str], KekSource]:
    """A source by its kind."""

    def make(kind: str) -> KekSource:
        needed: dict[str, Any] = {
            "file": lambda: KeyFiles(folder / "keys"),
            "passphrase": lambda: passphrase(folder),
            "keyring": lambda: request.getfixturevalue("memory_keyring") and OsKeyring(),
            "pkcs11": lambda: request.getfixturevalue("hsm").source(),
        }
        source: KekSource = needed[kind]()
        return source

    return make
