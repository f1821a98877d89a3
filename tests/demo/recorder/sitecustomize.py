"""Makes every process of a demo write down the secrets that pass through it.

Python imports a module of this name at its start when the folder is on PYTHONPATH. One file a
process, one line a secret: where it was made, its hexadecimal bytes.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

FILE = Path(os.environ["RECORD_SECRETS_IN"]) / str(os.getpid())


def record(where: str, data: bytes) -> None:
    with FILE.open("a") as file:
        file.write(f"{where} {bytes(data).hex()}\n")


def _secret(module: ModuleType) -> None:
    made = module.Secret.__init__

    def init(self: Any, data: bytes) -> None:
        made(self, data)
        record("secret", data)

    module.Secret.__init__ = init


def _kdf(module: ModuleType) -> None:
    derive = module.hkdf

    def hkdf(ikm: bytes, **more: Any) -> bytes:
        out: bytes = derive(ikm, **more)
        record("kdf", out)
        return out

    vars(module)["hkdf"] = hkdf


def _aead(module: ModuleType) -> None:
    made = module.AesGcm.__init__

    def init(self: Any, key: bytes) -> None:
        made(self, key)
        record("aead-key", key)

    module.AesGcm.__init__ = init


def _boxes(module: ModuleType) -> None:
    seal, opened = module.Box.seal, module.Box.open

    def record_and_seal(self: Any, index: int, data: bytes) -> bytes:
        record("stored", data)
        sealed: bytes = seal(self, index, data)
        return sealed

    def open_and_record(self: Any, index: int, sealed: bytes) -> bytes:
        data: bytes = opened(self, index, sealed)
        record("stored", data)
        return data

    module.Box.seal, module.Box.open = record_and_seal, open_and_record


def _stream(module: ModuleType) -> None:
    made = module.KeyStream.__init__

    def init(self: Any, seed: bytes, label: str) -> None:
        made(self, seed, label)
        record("stream-seed", seed)
        record("stream-key", self._key)

    module.KeyStream.__init__ = init


WATCHED = {
    "bellwire.base.secret": _secret,
    "bellwire.crypto.kdf": _kdf,
    "bellwire.crypto.aead": _aead,
    "bellwire.crypto.stream": _stream,
    "bellwire.keys.sealing": _boxes,
}


class Watcher(importlib.abc.MetaPathFinder):
    """Changes a module as soon as it is there, before anybody takes a name out of it."""

    def find_spec(
        self, name: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in WATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_change(module: ModuleType) -> None:
            load(module)
            WATCHED[name](module)

        spec.loader.exec_module = load_and_change  # type: ignore[method-assign]  # this one only
        return spec


sys.meta_path.insert(0, Watcher())
