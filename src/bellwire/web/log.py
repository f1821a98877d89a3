"""A log over HTTP: checkpoint, tiles and entries for everybody, entries from writers.

Reading is as C2SP tlog-tiles says ("Parameters" to "Log entries"), so that any client of it, and
any cache, can be in front. Writing is `POST /add` with an entry bundle and a writer's token. How it
stands with the log and its witnesses says `/healthz`, and `/metrics` to this machine.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from bellwire.ledger.checkpoint import parse_checkpoint
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.errors import EntryTooLarge, RangeUnusable, TileMalformed
from bellwire.ledger.note import Note
from bellwire.ledger.service.errors import BatchUnusable, LogBusy, WriterUnknown
from bellwire.ledger.service.service import MAX_BATCH, LogService
from bellwire.ledger.service.writers import Writers
from bellwire.ledger.store.errors import SequenceGap, SequenceTaken
from bellwire.ledger.store.store import LogStore
from bellwire.ledger.tiles import LENGTH_BYTES, Bundle, parse_path, split_bundle
from bellwire.ledger.tree import HASH_BYTES
from bellwire.web.api import Answered
from bellwire.web.errors import RequestRefused
from bellwire.web.figures import Figures, Reading, exposition
from bellwire.web.plain import require_pace
from bellwire.web.rates import Rates
from bellwire.web.reader import Asked
from bellwire.web.settings import DoorLimits

LOG_LIMITS: Final = DoorLimits(
    head_bytes=16 << 10,
    body_bytes=4 << 20,
    connections=400,
    connections_per_caller=256,
    requests_per_s=2_000.0,
    burst=4_000.0,
)
"""A batch of 256 entries has 2 MB at most; whoever reads a log asks for many tiles at once."""

_TEXT: Final = b"content-type: text/plain; charset=utf-8\r\ncache-control: no-cache\r\n"
_TILE: Final = (
    b"content-type: application/octet-stream\r\n"
    b"cache-control: public, max-age=31536000, immutable\r\n"
)
_METRICS: Final = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
_BEARER: Final = b"bearer "


class LogApi:
    """What a log answers; `api.Handler` is its `answer`.

    Args:
        service: The log.
        writers: Who may write to it.
        clock: Seconds of a clock that only advances.
        limits: Rates of an address.
    """

    def __init__(
        self,
        service: LogService,
        writers: Writers,
        *,
        clock: Callable[[], float] = time.monotonic,
        limits: DoorLimits = LOG_LIMITS,
    ) -> None:
        self._service = service
        self._writers = writers
        self._clock = clock
        self._rates = Rates(limits.requests_per_s, limits.burst)

    async def answer(self, asked: Asked, address: str) -> Answered:
        """The answer to a request.

        Raises:
            RequestRefused: it is answered with another code than 200.
        """
        require_pace(self._rates.wait_s(address, self._clock()))
        path = asked.target.partition(b"?")[0]
        if path == b"/add":
            _require(asked, b"POST")
            return await self._add(asked)
        _require(asked, b"GET", b"HEAD")
        if path == b"/checkpoint":
            return Answered(_shown(self._service.note).encode(), kind=_TEXT)
        if path.startswith(b"/tile/"):
            return await asyncio.to_thread(tile_at, self._service.store, path[1:])
        if path == b"/healthz":
            return Answered(msgspec.json.encode(health(self._service)))
        if path == b"/metrics" and ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            shown = exposition(Figures(), lambda: 0, lambda: readings(self._service))
            return Answered(shown, kind=_METRICS)
        raise RequestRefused(404, "there is no such page")

    async def _add(self, asked: Asked) -> Answered:
        given = [value for name, value in asked.fields if name == b"authorization"]
        token = given[0] if len(given) == 1 else b""
        if token[: len(_BEARER)].lower() != _BEARER:
            token = b""
        try:
            writer = self._writers.name_of(token[len(_BEARER) :].strip())
        except WriterUnknown as error:
            raise RequestRefused(
                401, str(error), headers=[("WWW-Authenticate", "Bearer")]
            ) from error
        try:
            entries = split_bundle(asked.body, max(1, _count(asked.body)))
            numbers = await self._service.add(writer, entries)
        except (EntryMalformed, TileMalformed, EntryTooLarge, BatchUnusable) as error:
            raise RequestRefused(422, str(error)) from error
        except WriterUnknown as error:
            raise RequestRefused(403, str(error)) from error
        except SequenceGap as error:
            raise RequestRefused(409, str(error), details=[{"expected": error.expected}]) from error
        except SequenceTaken as error:
            raise RequestRefused(409, str(error), details=[{"taken": True}]) from error
        except LogBusy as error:
            raise RequestRefused(503, str(error), headers=[("Retry-After", "1")]) from error
        return Answered(msgspec.json.encode({"numbers": list(numbers)}))


def health(service: LogService) -> dict[str, object]:
    """How it stands with a log and its witnesses, in plain values; nothing in it is secret."""
    witnesses = service.witnesses
    return {
        "entries": service.store.head.size,
        "signed": service.signer.signed.size,
        "shown": 0 if service.note is None else parse_checkpoint(service.note.text).size,
        "quorum_met": witnesses is None or witnesses.quorum_met,
        "witnesses": [
            {"name": each.name, "size": each.size, "at": each.at, "trouble": each.trouble}
            for each in (() if witnesses is None else witnesses.standings.values())
        ],
    }


def readings(service: LogService) -> Iterator[Reading]:
    """The same for Prometheus."""
    told = health(service)
    for name, about in (
        ("entries", "Entries in the log's store."),
        ("signed", "Entries of the last checkpoint that the log signed."),
        ("shown", "Entries of the checkpoint that it shows."),
    ):
        yield Reading(f"log_{name}", about, float(str(told[name])))
    for each in () if service.witnesses is None else service.witnesses.standings.values():
        label = {"witness": each.name}
        about = "Entries of the last checkpoint that a witness cosigned."
        yield Reading("log_witness_size", about, each.size, label)
        about = "Whether a witness cosigned when it was asked last."
        yield Reading("log_witness_cosigns", about, float(each.trouble is None), label)


def tile_at(store: LogStore, path: bytes) -> Answered:
    """A tile or an entry bundle by its path.

    Raises:
        RequestRefused: there is none, or none yet.
    """
    try:
        place = parse_path(path.decode("ascii", "replace"))
        if isinstance(place, Bundle):
            return Answered(store.bundle(place), kind=_TILE)
        return Answered(store.tile(place).hashes[: place.width * HASH_BYTES], kind=_TILE)
    except (TileMalformed, RangeUnusable) as error:
        raise RequestRefused(404, str(error)) from error


def _count(bundle: bytes) -> int:
    """How many entries a bundle begins, up to one more than it may have."""
    count, at = 0, 0
    while at < len(bundle) and count <= MAX_BATCH:
        at += LENGTH_BYTES + int.from_bytes(bundle[at : at + LENGTH_BYTES], "big")
        count += 1
    return count


def _shown(note: Note | None) -> Note:
    if note is None:
        raise RequestRefused(503, "nothing is signed yet", headers=[("Retry-After", "1")])
    return note


def _require(asked: Asked, *verbs: bytes) -> None:
    if asked.verb not in verbs:
        allow = ", ".join(verb.decode() for verb in verbs)
        raise RequestRefused(405, f"expected {allow}", headers=[("Allow", allow)])
