"""A cloud and its devices are killed again and again: each message is there once, in order."""

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.iot.broker import mosquitto
from tests.patience import PATIENCE_S

from bellwire.iot import enrolment
from bellwire.iot.gateway.queue import MessageQueue
from bellwire.iot.identity import read_public

MESSAGES = 40


class Program:
    """A command line that is killed and started again."""

    def __init__(self, stack: contextlib.ExitStack, *line: object) -> None:
        self._line = [sys.executable, "-m", "bellwire", *map(str, line)]
        self._stack = stack
        self.process: subprocess.Popen[str] | None = None
        stack.callback(self.kill)

    def start(self) -> str:
        self.process = subprocess.Popen(
            self._line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        return self.process.stdout.readline() if "cloud" in self._line else ""

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()
            self.process = None


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends, "it does not come"
        time.sleep(0.02)


def came(path: Path) -> list[str]:
    if not path.exists():
        return []
    # The last line may be half there while it is written.
    return [json.loads(line)["message"] for line in path.read_bytes().split(b"\n")[:-1]]


def test_messages_are_there_once_over_every_transport_whoever_is_killed(tmp_path: Path) -> None:
    draw = random.Random(13)
    state = tmp_path / "b"
    with mosquitto(tmp_path) as broker, contextlib.ExitStack() as stack:

        def cloud(tcp: str, udp: str) -> Program:
            where = ("--listen", tcp, "--udp", udp, "--mqtt", str(broker.broker))
            return Program(stack, "cloud", "--state", state, "--qkd", "off", *where)

        first = cloud("127.0.0.1:0", "127.0.0.1:0")
        ready = json.loads(first.start())
        first.kill()
        serving = cloud(ready["listen"], ready["udp"])
        pin = read_public(Path(ready["public_key"]), "cloud")
        devices: dict[str, tuple[bytes, Program, Path]] = {}
        for name, to in {
            "tcp": ready["listen"],
            "udp": f"udp://{ready['udp']}",
            "mqtt": str(broker.broker),
        }.items():
            own = tmp_path / name / "device"
            done = enrolment.enroll(
                own,
                enrolment.own_key(own),
                pin,
                name=name,
                allow=Path(ready["allowed"]),
                replace=False,
            )
            shown = tmp_path / f"{name}.jsonl"
            line = ("device", "run", "--state", own.parent, "--data", "-", "--qkd", "off")
            program = Program(stack, *line, "--to", to, "--received", shown)
            devices[name] = done.device.fingerprint, program, shown

        def some_have(most: int) -> bool:
            return any(len(came(shown)) > most for _, _, shown in devices.values())

        serving.start()
        for _, program, _ in devices.values():
            program.start()
        with MessageQueue(state / "cloud") as queue:
            for number in range(MESSAGES):
                for name, (device, _, _) in devices.items():
                    queue.post(device, name, [b"%d" % number], 600)
                if number % 20 == 10:
                    until(lambda most=number // 2: some_have(most))  # type: ignore[misc]
                    for program in draw.sample([d[1] for d in devices.values()], 2):
                        program.kill()
                        program.start()
                if number % 30 == 15:
                    serving.kill()
                    serving.start()
                time.sleep(draw.random() * 0.03)
            until(lambda: all(len(came(d[2])) >= MESSAGES for d in devices.values()))
            until(lambda: not queue.queues())
            states = {route.state for route in queue.routes()}
        for _, program, _ in devices.values():
            program.kill()
        expected = [str(number) for number in range(MESSAGES)]
        assert {name: came(shown) for name, (_, _, shown) in devices.items()} == dict.fromkeys(
            devices, expected
        )
        assert states == {"DELIVERED"}
