"""Figures of a service that speaks no HTTP itself, shown to a Prometheus on the same machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector

from bellwire.web.errors import DoorUnusable


@contextmanager
def shown(figures: Collector, port: int | None) -> Iterator[int | None]:
    """Serve figures as Prometheus text on this machine's loopback, at any path.

    Args:
        figures: Of the service; they are collected in a thread.
        port: Where; 0 takes a free one, None serves nowhere.

    Yields:
        The port that was taken.

    Raises:
        DoorUnusable: the port is in use.
    """
    if port is None:
        yield None
        return
    registry = CollectorRegistry()
    registry.register(figures)
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as error:
        raise DoorUnusable(
            f"expected to show figures at 127.0.0.1:{port}, but {error}",
            hint="Choose another port, or port 0 for any free one.",
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
