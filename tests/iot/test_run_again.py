"""A file that `device run` follows, while device, broker and cloud die: each reading once."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.iot.broker import Mosquitto, mosquitto
from tests.iot.doubles import CLOUD, Bench
from tests.patience import PATIENCE_S

from bellwire.iot import enrolment
from bellwire.iot.mqtt_listener import MqttListener

PROGRAM = "from bellwire.cli.device_entry import main; main()"


@contextlib.asynccontextmanager
async def serving(bench: Bench, broker: Mosquitto, udp: int) -> AsyncIterator[int]:
    """A cloud over all transports; gives its UDP port."""
    async with bench.running() as cloud:
        listener = MqttListener(cloud.door, cloud.reception, notify=bench.events.append)
        cloud.add(listener)
        listener.start(broker.broker)
        yield (await cloud.start_udp("127.0.0.1", udp))[1]


@contextlib.contextmanager
def device(state: Path, data: Path, to: str) -> Iterator["subprocess.Popen[bytes]"]:
    line = [sys.executable, "-c", PROGRAM, "run", "--state", str(state), "--data", str(data)]
    process = subprocess.Popen(
        [*line, "--follow", "--qkd", "off", "--to", to],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("transport", ["tcp", "udp", "mqtt"])
def test_a_device_a_broker_and_a_cloud_that_die_lose_and_double_nothing(
    transport: str, tmp_path: Path
) -> None:
    state, data, bench = tmp_path / "state", tmp_path / "data.csv", Bench(tmp_path)
    key = enrolment.own_key(state / "device")
    (tmp_path / "cloud").mkdir(mode=0o700)
    (tmp_path / "cloud" / "allowed").mkdir(mode=0o700)
    enrolment.enroll(
        state / "device",
        key,
        CLOUD,
        name="one",
        allow=tmp_path / "cloud" / "allowed",
        replace=False,
    )
    data.write_bytes(b"")
    written = b""

    def write(first: int) -> None:
        nonlocal written
        more = b"".join(b"%d,%s\n" % (number, b"x" * 20) for number in range(first, first + 50))
        written += more
        with data.open("ab") as file:
            file.write(more)

    def arrived(count: int) -> Callable[[], bool]:
        return lambda: len(bench.arrived) >= count

    async def work(broker: Mosquitto, stack: contextlib.ExitStack) -> None:
        async with serving(bench, broker, 0) as port:
            to = {
                "tcp": str(bench.address),
                "udp": f"udp://127.0.0.1:{port}",
                "mqtt": str(broker.broker),
            }[transport]
            write(0)
            with device(state, data, to) as process:
                await until(arrived(1))
                write(50)
                process.send_signal(signal.SIGKILL)
            write(100)
            stack.enter_context(device(state, data, to))
            await until(arrived(150))
            if transport == "mqtt":
                broker.stop()
                write(150)
                broker.start()
                await until(arrived(200))
        write(200)
        async with serving(bench, broker, port):
            await until(lambda: b"".join(bench.arrived).count(b"\n") >= written.count(b"\n"))
            stack.close()
        assert b"".join(bench.arrived) == written

    with mosquitto(tmp_path) as broker, contextlib.ExitStack() as stack:
        asyncio.run(asyncio.wait_for(work(broker, stack), PATIENCE_S))
