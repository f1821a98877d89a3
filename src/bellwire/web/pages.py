"""What else a KME shows over HTTP: health, metrics, the status of links, its API in OpenAPI.

FastAPI serves these and nothing else. Who may see a page is decided before it is asked.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from bellwire.keys.errors import StoreError
from bellwire.keys.kme import Limits
from bellwire.web import answers
from bellwire.web.openapi import describe
from bellwire.web.push import Changes, Document, Histories, Views, document, events, records

HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
STATUS, EVENTS, SOCKET, API = "/status", "/status/events", "/status/ws", "/openapi.json"
HISTORY = "/status/history"
_ALL = frozenset({HEALTH, READY, METRICS, STATUS, HISTORY, EVENTS, SOCKET, API})
_LOOPBACK = frozenset({HEALTH, READY, METRICS})
_MAX_MESSAGE = 4096
MAX_RECORDS = 5000

Troubles = Callable[[], Sequence[str]]
"""Why a KME cannot deliver keys now, in words without secrets; nothing if it can."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where pages get what they show.

    Attributes:
        metrics: Metrics in Prometheus' text format.
        troubles: Why the KME is not ready.
        views: Status of each link.
        histories: How it was.
        changes: Where a change is made known.
        relay: Where a relay is that this site follows; None if it follows none.
    """

    metrics: Callable[[], bytes]
    troubles: Troubles
    views: Views
    histories: Histories
    changes: Changes
    relay: Callable[[], Document] | None = None


class KmePages:
    """`door.Pages` of a KME.

    Args:
        sources: What is shown.
        operators: Names of certificates that may see metrics; they need not be SAEs.
        limits: What the description of the API says that may be asked for.

    Attributes:
        operators: May be replaced.
    """

    def __init__(self, sources: Sources, operators: frozenset[str], limits: Limits) -> None:
        self.operators = operators
        self._config = Config(
            _application(sources, msgspec.json.encode(describe(limits))),
            http=HttpToolsProtocol,
            ws="websockets-sansio",
            ws_max_size=_MAX_MESSAGE,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._config.load()
        self.state = ServerState()

    def serves(self, path: str) -> bool:
        """Whether there is such a page."""
        return path in _ALL

    def streams(self, path: str) -> bool:
        """Whether it is for WebSockets alone."""
        return path == SOCKET

    def permits(self, path: str, name: str | None, *, sae: bool) -> bool:
        """Whether somebody may see it.

        The loopback sees health and metrics, operators see all, and SAEs all but metrics, which
        tell of others' use.
        """
        if name is None:
            return path in _LOOPBACK
        return name in self.operators or (sae and path != METRICS)

    def protocol(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        """What serves one request for a page."""
        return HttpToolsProtocol(self._config, self.state, {}, _loop=loop)

    async def stop(self) -> None:
        """Cancel what still runs, and wait for its end."""
        tasks = list(self.state.tasks)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _application(sources: Sources, description: bytes) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get(HEALTH)
    async def health() -> Response:
        return _json({"status": "alive"})

    @app.get(READY)
    async def ready() -> Response:
        troubles = sources.troubles()
        if troubles:
            details = [{"reason": each} for each in troubles]
            return _error(503, "the KME is not ready", details)
        return _json({"status": "ready"})

    @app.get(METRICS)
    async def metrics() -> Response:
        return Response(sources.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get(API)
    async def api() -> Response:
        return Response(description, media_type="application/json")

    @app.get(STATUS)
    async def status() -> Response:
        told = {"at": time.time(), "links": document(sources.views(), history=True)}
        return _json(told if sources.relay is None else {**told, "relay": sources.relay()})

    @app.get(HISTORY)
    async def history(request: Request) -> Response:
        since = _number(request, "since", 0.0)
        most = _number(request, "limit", 1000.0)
        if not (0 <= since < 1e12 and 1 <= most <= MAX_RECORDS and most.is_integer()):
            return _error(
                400, f"expected since, a time in s, and limit, 1 to {MAX_RECORDS}, got others"
            )
        try:
            found = await sources.histories(since, int(most))
        except StoreError:
            return _error(503, "the store failed")
        return _json({"at": time.time(), "links": records(found)})

    @app.get(EVENTS)
    async def status_events() -> Response:
        headers = {"cache-control": "no-store"}
        return StreamingResponse(_lines(sources), media_type="text/event-stream", headers=headers)

    @app.websocket(SOCKET)
    async def status_socket(socket: WebSocket) -> None:
        origin = socket.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != socket.headers.get("host"):
            await socket.close(1008)  # a page of others would listen with its visitor's certificate
            return
        await socket.accept()
        await _speak(socket, sources)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return _error(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> Response:
        return _error(500, "the KME failed")

    return app


async def _lines(sources: Sources) -> AsyncIterator[bytes]:
    """Server-sent events: a name and a line of JSON each."""
    async for kind, content in events(sources.views, sources.changes, time.time):
        yield b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(content) + b"\n\n"


async def _speak(socket: WebSocket, sources: Sources) -> None:
    """Tell until the listener goes; what it says is forgotten."""

    async def tell() -> None:
        async for kind, content in events(sources.views, sources.changes, time.time):
            await socket.send_text(msgspec.json.encode({"event": kind, **content}).decode())

    async def hear() -> None:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    both = [asyncio.ensure_future(each) for each in (tell(), hear())]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)


def _number(request: Request, name: str, default: float) -> float:
    """A parameter of the query; not a number unless it is there once at most, as one."""
    given = request.query_params.getlist(name)
    if not given:
        return default
    try:
        return float(given[0]) if len(given) == 1 and len(given[0]) <= 32 else math.nan
    except ValueError:
        return math.nan


def _json(content: object) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(content), media_type="application/json", headers=headers)


def _error(code: int, message: str, details: Sequence[dict[str, str]] = ()) -> Response:
    return Response(answers.error(message, details), code, media_type="application/json")
