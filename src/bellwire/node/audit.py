"""The audit log of a site: who asked for keys and got which, and what operators did; no key bits.

JSON, an entry a line, in a file of the site's own, which is put aside when it is full. Requests are
noted in memory and written by a thread some times a second, so that no delivery waits for it: what
a process that is killed had not written is lost, and so are the entries beyond `MAX_WAITING`, whose
number is told. What a command does is on the disk when the command ends.

The log is not chained: who owns the files can change them. It is to be sent elsewhere for that.
"""

import os
import pwd
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import msgspec
import structlog

from bellwire.base.clock import Clock, system_clock
from bellwire.base.errors import BellwireError
from bellwire.base.journal import Journal
from bellwire.keys.kme import KEY_ID_BYTES, KeyRequest
from bellwire.node.logs import shown
from bellwire.node.settings import Settings
from bellwire.web.audit import Answered

FLUSH_S = 0.05
MAX_WAITING = 100_000
"""Entries in memory; beyond it the newest are not kept."""

BATCH = 256
"""Entries that are made into lines at once, so that the event loop waits a moment at most."""

MAX_IDS = 16
"""Ids of one entry; the number of keys is told of all."""

MAX_STRANGERS_PER_S = 10
"""Entries of connections that were nobody's; who has no certificate must not fill the log."""

_encode = msgspec.json.Encoder().encode
_EVENTS = {200: "keys delivered", 0: "keys lost"}

log = structlog.get_logger()
Fields: TypeAlias = Mapping[str, object]
_Entry: TypeAlias = tuple[float, Answered | tuple[str, Fields]]


def audit_file(settings: Settings, site: str) -> Path:
    """Where the audit log of a site is."""
    folder = settings.audit.dir or settings.state.dir / "audit"
    return folder / f"site-{site}.jsonl"


def _journal(settings: Settings, site: str) -> Journal:
    audit = settings.audit
    return Journal(audit_file(settings, site), max_bytes=audit.max_bytes, kept=audit.kept)


def record(settings: Settings, site: str, event: str, **fields: object) -> None:
    """Write what a command did, durably, if there is to be an audit log.

    Raises:
        PathUnusable, PathExposed: the log cannot be opened; what was done is done.
        BellwireError: it cannot be written, for want of space, say; what was done is done.
    """
    if not settings.audit.enabled:
        return
    entry = _line(time.time(), event, {"user": _user(), **fields})
    try:
        _journal(settings, site).append(entry, durable=True)
    except OSError as error:
        raise BellwireError(
            f"{event}: done, but not written to the audit log: {error.strerror}",
            hint="Free some space, or mend the permissions of the log's folder.",
        ) from error


class AuditLog:
    """The log of a running node (`web.audit.Audit`); `close` writes what is left.

    Args:
        journal: Where to.
        clock: Seconds since the epoch.
    """

    def __init__(self, journal: Journal, clock: Clock = system_clock) -> None:
        self._journal = journal
        self._clock = clock
        self._waiting: deque[_Entry] = deque()
        self._dropped = 0  # counted by the event loop's thread
        self._failed = 0  # and these by our own
        self._told = 0
        self._failing = False
        self._strangers = (0, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def answered(self, request: Answered) -> None:
        """A request was answered; a status that was told is not worth an entry."""
        if request.route != "status" or request.code != 200:
            self._add(request)

    def turned_away(self, address: tuple[str, int], reason: str) -> None:
        """A connection was nobody's; at most a few a second are told."""
        second = int(self._clock())
        told = self._strangers[1] if self._strangers[0] == second else 0
        self._strangers = second, told + 1
        if told < MAX_STRANGERS_PER_S:
            self.note("turned away", peer=_address(address), reason=reason)

    def local(self, how: str, key_id: bytes, bits: int) -> None:
        """A key left through the node's own socket."""
        ids = [_uuid(key_id)]
        self.note("keys delivered", method=f"socket {how}", number=1, bits=bits, key_ids=ids)

    def note(self, event: str, **fields: object) -> None:
        """Something else happened; fields are shown as a log shows them."""
        self._add((event, fields))

    def close(self) -> None:
        """Write what is left; again is harmless."""
        self._over.set()
        self._thread.join()

    def _add(self, what: Answered | tuple[str, Fields]) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append((self._clock(), what))
        else:
            self._dropped += 1

    def _run(self) -> None:
        while not self._over.wait(FLUSH_S):
            self._write()
        self._write()

    def _write(self) -> None:
        while self._waiting or self._dropped + self._failed > self._told:
            lost, lines = self._dropped + self._failed - self._told, []
            if lost:
                lines.append(_line(self._clock(), "entries lost", {"count": lost}))
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            lines += [_line_of(*entry) for entry in batch]
            try:
                self._journal.append(b"".join(lines))
            except (OSError, BellwireError) as error:
                self._failed += len(batch)
                if not self._failing:
                    log.warning("the audit log is not written", error=str(error))
                self._failing = True
                return
            self._told += lost
            self._failing = False


def open_audit(settings: Settings, site: str) -> AuditLog | None:
    """The audit log of a site's node; None if there is to be none.

    Raises:
        PathUnusable, PathExposed: it cannot be written, or others may read it.
    """
    return AuditLog(_journal(settings, site)) if settings.audit.enabled else None


class _Line(msgspec.Struct, omit_defaults=True, gc=False):
    """An entry of a request, as it is written; what is as it begins here is left out."""

    at: str
    event: str
    sae: str
    peer: str
    method: str | None = None
    about: str | None = None
    code: int = 0
    number: int = 0
    bits: int | None = None
    further_slaves: tuple[str, ...] = ()
    key_ids: list[str] = []
    reason: str | None = None
    error: str | None = None


def _line_of(at: float, what: Answered | tuple[str, Fields]) -> bytes:
    if isinstance(what, tuple):
        return _line(at, *what)
    line = _Line(
        _moment(at),
        _EVENTS.get(what.code, "request refused"),
        what.sae,
        _address(what.address),
        what.route,
        what.about,
        what.code,
        bits=what.bits,
        reason=what.reason,
        error=what.error,
    )
    asked, ids = what.asked, what.ids
    if isinstance(asked, KeyRequest):
        line.number, line.bits, line.further_slaves = asked.number, asked.bits, asked.slaves[1:]
    elif asked is not None:
        line.number, ids = len(asked) // KEY_ID_BYTES, asked
    if ids:
        line.key_ids = [
            _uuid(ids[at : at + KEY_ID_BYTES])
            for at in range(0, min(len(ids), MAX_IDS * KEY_ID_BYTES), KEY_ID_BYTES)
        ]
    return _encode(line) + b"\n"


def _line(at: float, event: str, fields: Fields) -> bytes:
    told = {name: shown(value) for name, value in fields.items() if value is not None}
    return _encode({"at": _moment(at), "event": event, **told}) + b"\n"


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _moment(at: float) -> str:
    return f"{_second(int(at))}.{int(at % 1 * 1000):03}Z"


def _uuid(data: bytes) -> str:
    digits = data.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _address(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
