"""What an operator on the same machine may ask a site's network process.

A Unix socket that only its owner may open (`base.local`). Answers are JSON documents, public: no
key and no SAE's id is in them.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError
from bellwire.base.local import AnswerMalformed, LocalServer, NotAnswered, ask
from bellwire.network.identity import NodeName, check_name
from bellwire.node.network.service import SiteService

REQUEST_LIMIT: Final = 1 << 10
ANSWER_LIMIT: Final = 16 << 20
ANSWER_WITHIN_S: Final = 10.0


class Show(msgspec.Struct, frozen=True, array_like=True, tag="show"):
    """The network as this site knows it."""


class GetRoute(msgspec.Struct, frozen=True, array_like=True, tag="route"):
    """The routes of the next block to a site."""

    target: NodeName


class Forget(msgspec.Struct, frozen=True, array_like=True, tag="forget"):
    """Meet a site as a stranger again."""

    peer: NodeName


class Told(msgspec.Struct, frozen=True, array_like=True, tag="told"):
    """A JSON document."""

    document: str


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """Why it could not be done, and the exit code that says it."""

    code: int
    message: Annotated[str, Meta(max_length=4000)]
    hint: Annotated[str, Meta(max_length=4000)] | None = None


Request = Show | GetRoute | Forget
Answer = Told | Failed
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def site_server(path: Path, service: SiteService) -> LocalServer:
    """A server at `path` that lets operators ask `service`."""

    async def answer(body: bytes) -> bytes:
        request = _requests.decode(body)
        try:
            return msgspec.msgpack.encode(Told(json.dumps(_document(service, request))))
        except BellwireError as error:
            return msgspec.msgpack.encode(Failed(error.exit_code, str(error), error.hint))

    return LocalServer(path, answer, request_limit=REQUEST_LIMIT)


def _document(service: SiteService, request: Request) -> dict[str, Any]:
    match request:
        case Show():
            return service.document()
        case GetRoute(target):
            _require_other(service, target)
            return service.route(target)
        case Forget(peer):
            _require_other(service, peer)
            service.node.meetings.forget(peer)
            return {"site": service.site, "forgot": peer}


def _require_other(service: SiteService, name: str) -> None:
    if name not in service.directory.map.sites or name == service.site:
        others = ", ".join(sorted(set(service.directory.map.sites) - {service.site})[:20])
        raise UsageError(f"expected another site of the topology, {others}; got {name}")


def check_site(name: str) -> None:
    """Let the name of a site pass.

    Raises:
        NetworkMisuse: it is none.
    """
    check_name(name)


async def ask_site(path: Path, request: Request) -> dict[str, Any]:
    """Ask the network process whose socket is at `path`.

    Raises:
        NotAnswered: it does not run.
        AnswerMalformed: somebody else does.
        BellwireError: what it says.
    """
    try:
        body = await ask(
            path,
            msgspec.msgpack.encode(request),
            answer_limit=ANSWER_LIMIT,
            timeout_s=ANSWER_WITHIN_S,
        )
    except NotAnswered as error:
        raise NotAnswered(
            f"expected this site's network process at {path}, got no answer",
            hint="Start it with `bellwire network run`, with the same state folder and settings.",
        ) from error
    try:
        answer = _answers.decode(body)
        if isinstance(answer, Told):
            document = json.loads(answer.document)
            assert isinstance(document, dict)
            return document
    except (ValueError, *UNDECODABLE) as error:
        raise AnswerMalformed(f"expected an answer of a network process at {path}") from error
    kinds = {2: UsageError, 3: RefusedError, 4: UnreachableError}
    raise kinds.get(answer.code, BellwireError)(answer.message, hint=answer.hint)
