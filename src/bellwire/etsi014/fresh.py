"""A client of a node's sessions: a fresh pad for one master and one slave, with its record.

A session is asked for by Get key of ETSI GS QKD 014 with an extension of ours
(docs/reference/etsi014.md, "Sessions"), and its pad is fetched by Get key with key IDs, as any key.
Another vendor's server refuses the extension with 400, as the standard has it.
"""

from dataclasses import dataclass

import msgspec

from bellwire.base.secret import Secret
from bellwire.etsi014.client import AsyncClient, Client
from bellwire.etsi014.errors import KmeMisbehaved, RequestUnusable, SessionAborted
from bellwire.etsi014.exchange import (
    Answer,
    Extras,
    Key,
    ask_keys,
    ask_keys_with_ids,
    read_keys,
    read_keys_with_ids,
)
from bellwire.etsi014.messages import MAX_ERROR
from bellwire.etsi014.record import FRESH, LATEST, MARK, MAX_FRESH_BITS, SessionRecord

_MANDATORY = ({FRESH: True},)


@dataclass(frozen=True, slots=True)
class FreshPad:
    """A pad made by a session of its own.

    Attributes:
        pad_id: Its id, and the session's; not secret.
        pad: Secret.
        record: What the session measured; None where the node has forgotten it.
    """

    pad_id: str
    pad: Secret
    record: SessionRecord | None


class FreshClient(AsyncClient):
    """`AsyncClient` that asks for sessions as well."""

    async def fresh(self, slave: str, bits: int, mark: str = "") -> FreshPad:
        """A new pad of `bits` bits, which `slave` can fetch at its own node when this returns.

        Args:
            slave: The SAE that gets the same pad.
            bits: A multiple of 8 up to `MAX_FRESH_BITS`.
            mark: By what the node's operator may follow the session while it goes on, if anything.

        Raises:
            SessionAborted: there is none; the error has the record.
            Etsi014Error: as `AsyncClient.get_keys`.
        """
        if not 8 <= bits <= MAX_FRESH_BITS or bits % 8:
            raise RequestUnusable(
                f"bits: expected a multiple of 8 from 8 to {MAX_FRESH_BITS}, got {bits}"
            )
        extras = Extras(mandatory=_MANDATORY, optional=({MARK: mark},) if mark else ())
        answer = await self._exchange(ask_keys(slave, 1, bits, extras))
        _raise_aborted(answer)
        (key,) = read_keys(answer, 1, bits)
        return _pad(key, answer)

    async def pad(self, master: str, pad_id: str) -> FreshPad:
        """The pad that `master` was given under an id; once.

        Raises:
            SessionAborted: its session gave none; the error has the record.
            Etsi014Error: as `AsyncClient.get_keys_with_ids`.
        """
        answer = await self._exchange(ask_keys_with_ids(master, [pad_id]))
        _raise_aborted(answer)
        (key,) = read_keys_with_ids(answer, [pad_id])
        return _pad(key, answer)

    async def records(self, peer: str) -> list[SessionRecord]:
        """Records of the latest sessions between us and `peer` that our node still has.

        Raises:
            KmeMisbehaved: what it says of them are no records.
            Etsi014Error: as `AsyncClient.status`.
        """
        extension = (await self.status(peer)).status_extension
        given = extension.get(LATEST, []) if isinstance(extension, dict) else []
        try:
            return msgspec.convert(given, list[SessionRecord])
        except msgspec.ValidationError as error:
            raise KmeMisbehaved("expected records of sessions, got something else") from error


class BlockingFreshClient(Client):
    """`FreshClient` for callers without an event loop."""

    asks = FreshClient
    _client: FreshClient

    def fresh(self, slave: str, bits: int) -> FreshPad:
        """As `FreshClient.fresh`."""
        return self._runner.run(self._client.fresh(slave, bits))


class _Container(msgspec.Struct, frozen=True, rename={"extension": "key_container_extension"}):
    extension: object = None


class _Error(msgspec.Struct, frozen=True):
    details: list[dict[str, object]] = []


def _pad(key: Key, answer: Answer) -> FreshPad:
    try:
        extension = msgspec.json.decode(answer.body, type=_Container).extension
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise KmeMisbehaved("expected a key container in JSON, got something else") from error
    given = extension.get(FRESH) if isinstance(extension, dict) else None
    return FreshPad(key.key_id, key.key, None if given is None else _record(given))


def _raise_aborted(answer: Answer) -> None:
    """SessionAborted if an error has the record of a session; what else it says is for others."""
    if answer.code == 200 or len(answer.body) > MAX_ERROR:
        return
    try:
        details = msgspec.json.decode(answer.body, type=_Error).details
    except (msgspec.DecodeError, ValueError, RecursionError):
        return
    given = next((each[FRESH] for each in details if FRESH in each), None)
    if given is not None:
        raise SessionAborted(_record(given))


def _record(given: object) -> SessionRecord:
    try:
        return msgspec.convert(given, SessionRecord)
    except msgspec.ValidationError as error:
        raise KmeMisbehaved("expected the record of a session, got something else") from error
