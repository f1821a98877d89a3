"""A disk that forgets what was not synced: a VFS of SQLite that notes every write and every sync.

SQLite reaches its files through a table of functions (https://sqlite.org/vfs.html). This one hands
all calls on to the system's own and keeps, for each file, what a sync made durable and what was
written since. After a power cut any part of the latter may be there or not.
"""

import _sqlite3
import ctypes
import random
import sqlite3
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast
from dataclasses import dataclass, field
from pathlib import Path

NAME = "forgetful"

OK, IOERR, FULL, IOERR_FSYNC = 0, 10, 13, 10 | 4 << 8

_READ_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_CLOSE = CFUNCTYPE(c_int, c_void_p)
_SIZE = CFUNCTYPE(c_int, c_void_p, c_int64)
_FLAGS = CFUNCTYPE(c_int, c_void_p, c_int)
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)


class _Methods(Structure):
    _fields_ = (
        ("version", c_int),
        ("close", _CLOSE),
        ("read", c_void_p),
        ("write", _READ_WRITE),
        ("truncate", _SIZE),
        ("sync", _FLAGS),
        *((f"more{number}", c_void_p) for number in range(13)),
    )


class _File(Structure):
    _fields_ = (("methods", POINTER(_Methods)),)


class _Vfs(Structure):
    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("max_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("app_data", c_void_p),
        ("open", _OPEN),
        *((f"more{number}", c_void_p) for number in range(17)),
    )


@dataclass
class FileState:
    """What a sync made durable, and what was written since: (offset, bytes), or a new length."""

    durable: bytes
    since: list[tuple[int, bytes] | int] = field(default_factory=list)


@dataclass
class Disk:
    """All files that were opened, and the fault that is to come.

    Attributes:
        files: By path.
        calls: Writes and syncs so far.
        fail_at: Number of the call that fails, if any; it and all later ones, until `mend`.
        error: What SQLite is told then.
    """

    files: dict[str, FileState] = field(default_factory=dict)
    calls: int = 0
    fail_at: int | None = None
    error: int = FULL

    def fail_after(self, calls: int, error: int) -> None:
        self.fail_at, self.error = self.calls + calls, error

    def mend(self) -> None:
        self.fail_at = None

    def failing(self) -> bool:
        self.calls += 1
        return self.fail_at is not None and self.calls >= self.fail_at

    def after_power_cut(self, path: Path, chance: random.Random) -> bytes:
        """What may be in a file once the power is back."""
        state = self.files.get(str(path))
        if state is None:
            return path.read_bytes()
        data = bytearray(state.durable)
        keep = chance.choice((0.0, 0.5, 1.0))
        for change in state.since:
            if chance.random() < keep:
                _apply(data, change)
        return bytes(data)

    def _synced(self, path: str) -> None:
        state = self.files[path]
        data = bytearray(state.durable)
        for change in state.since:
            _apply(data, change)
        state.durable, state.since = bytes(data), []


def _apply(data: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        data[change:] = bytes(max(0, change - len(data)))
        return
    at, written = change
    data.extend(bytes(max(0, at - len(data))))
    data[at : at + len(written)] = written


DISK = Disk()
"""SQLite has one table of functions for a whole process."""

_library = ctypes.CDLL(_sqlite3.__file__)
_library.sqlite3_vfs_find.restype = POINTER(_Vfs)
_library.sqlite3_vfs_find.argtypes = (c_char_p,)
_library.sqlite3_vfs_register.argtypes = (c_void_p, c_int)
_system = _library.sqlite3_vfs_find(None).contents
_paths: dict[int, str] = {}
_kept: list[object] = []
_tables: dict[int, _Methods] = {}


def _table(original: _Methods) -> _Methods:
    """The functions of one kind of file, with ours in place of four of them."""
    known = _tables.get(ctypes.addressof(original))
    if known is not None:
        return known
    ours = _Methods.from_buffer_copy(original)

    def close(file: int) -> int:
        _paths.pop(file, None)
        return int(original.close(file))

    def write(file: int, data: int, count: int, at: int) -> int:
        path = _paths.get(file)
        if path is None:
            return int(original.write(file, data, count, at))
        if DISK.failing():
            return DISK.error
        DISK.files[path].since.append((at, ctypes.string_at(data, count)))
        return int(original.write(file, data, count, at))

    def truncate(file: int, size: int) -> int:
        path = _paths.get(file)
        if path is not None:
            if DISK.failing():
                return IOERR
            DISK.files[path].since.append(size)
        return int(original.truncate(file, size))

    def sync(file: int, flags: int) -> int:
        path = _paths.get(file)
        if path is not None:
            if DISK.failing():
                return IOERR_FSYNC
            DISK._synced(path)
        return OK  # the files of tests lie in memory

    ours.close = _CLOSE(close)
    ours.write = _READ_WRITE(write)
    ours.truncate = _SIZE(truncate)
    ours.sync = _FLAGS(sync)
    _tables[ctypes.addressof(original)] = ours
    _kept.append(original)
    return ours


def _open(_: int, name: int | None, file: int, flags: int, out: int) -> int:
    # SQLite's own pointer is handed on: the system's functions keep it, for the names beside it.
    found = int(_system.open(ctypes.addressof(_system), name, file, flags, out))
    if found == OK and name:
        path = ctypes.string_at(name).decode()
        now = Path(path).read_bytes()
        state = DISK.files.get(path)
        if state is None or not state.since:
            DISK.files[path] = FileState(now)
        _paths[file] = path
        opened = cast(file, POINTER(_File)).contents
        opened.methods = ctypes.pointer(_table(opened.methods.contents))
    return found


_ours = _Vfs.from_buffer_copy(_system)
_ours.name = NAME.encode()
_ours.open = _OPEN(_open)
_library.sqlite3_vfs_register(ctypes.byref(_ours), 0)


def connect(path: Path, factory: type[sqlite3.Connection]) -> sqlite3.Connection:
    """As `database.connect`, on this disk."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?vfs={NAME}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        factory=factory,
    )
