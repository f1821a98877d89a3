"""Two nodes in two processes over TCP, as they are deployed: what comes out a second.

The link is made up (`light`); everything else is there: frames, MACs, one-time tags, the stores on
disk. For a latency, every byte is held back for so long, each way.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bellwire.base.detections import Side
from bellwire.bench.distill.side import Done, Job

_PROGRAM = "from bellwire.bench.distill.side import main; main()"


def run(job: Job, one_way_s: float = 0.0) -> Done:
    """Measure blocks between two processes.

    Args:
        job: What to measure; its port is found here.
        one_way_s: Latency added to the connection, each way.

    Raises:
        ArithmeticError: a side failed.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        _bob(Path(folder) / "bob", job) as port,
        _relay(port, one_way_s) if one_way_s else contextlib.nullcontext(port) as near,
    ):
        near_job = msgspec.structs.replace(job, port=near)
        arguments = _arguments(Side.ALICE, Path(folder) / "alice", near_job)
        alice = subprocess.run(arguments, capture_output=True, check=False)
    if alice.returncode:
        raise ArithmeticError(f"Alice's node failed: {alice.stderr.decode()[-500:]}")
    return msgspec.json.decode(alice.stdout, type=Done)


def _arguments(side: Side, folder: Path, job: Job) -> list[str]:
    return [sys.executable, "-c", _PROGRAM, side, str(folder), msgspec.json.encode(job).decode()]


@contextlib.contextmanager
def _bob(folder: Path, job: Job) -> Iterator[int]:
    bob = subprocess.Popen(
        _arguments(Side.BOB, folder, job), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert bob.stdout is not None
        said = bob.stdout.readline()
        if not said:
            raise ArithmeticError("Bob's node did not start")
        yield int(said)
    finally:
        bob.communicate()  # ends his input, and waits for him


@contextlib.contextmanager
def _relay(port: int, one_way_s: float) -> Iterator[int]:
    """A port that leads to another, every byte late."""
    loop = asyncio.new_event_loop()
    relay = _Relay(port, one_way_s)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(relay.serve, "127.0.0.1", 0), loop
        ).result()
        yield int(server.sockets[0].getsockname()[1])
        asyncio.run_coroutine_threadsafe(relay.close(server), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Relay:
    def __init__(self, port: int, one_way_s: float) -> None:
        self._port, self._one_way_s = port, one_way_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            for work in (self._take(source, late), self._give(late, sink)):
                task = asyncio.create_task(work)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _take(
        self, reader: asyncio.StreamReader, late: "asyncio.Queue[tuple[float, bytes]]"
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 20):
                late.put_nowait((asyncio.get_running_loop().time() + self._one_way_s, data))
        late.put_nowait((0.0, b""))

    async def _give(
        self, late: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while True:
                due, data = await late.get()
                if not data:
                    return
                await asyncio.sleep(due - asyncio.get_running_loop().time())
                writer.write(data)
                await writer.drain()

    async def close(self, server: asyncio.Server) -> None:
        server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
