"""Two KMEs are killed at random while SAEs get and fetch keys: is a key ever given twice?

    .venv/bin/python tools/kill_kmes.py --seconds 600 --seed 1

Workers get a key at one KME, fetch it by its id at the other, and fetch it again, at once and some
time later, which must be refused. Meanwhile one of the two is killed every half second to two
seconds, and started anew. Counted are

- pairs: keys that both sides were given;
- lost: keys that one side was given and the other could not have, each with an answer or a request
  that was under way at a kill;
- double deliveries: a key id that was given to the same SAE twice;
- unequal pairs: a key id under which the two sides were given different keys;
- repeated ids: a key id that was given to masters twice.

It ends with 1 if there was any of the last three, or a key was lost without a kill to blame. The
KMEs are those of `bellwire bench keys`: nodes with everything but light.
"""

import argparse
import asyncio
import base64
import contextlib
import random
import ssl
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path
from typing import Protocol

import httpx
import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bellwire.bench.keys import pairs, stock
from bellwire.bench.keys.load import LOOPBACK, MASTER, SLAVE
from bellwire.bench.keys.side import Began

SIDE = "from bellwire.bench.keys.side import main; main()"
KEYS = 2_000_000
WORKERS = 16
BETWEEN_S = (0.5, 2.0)
REMEMBERED = 4096
AUDITED = 100
STARTED_WITHIN_S = 60.0
BAD = ("double deliveries", "unequal pairs", "repeated ids", "lost without a kill")


class Kme:
    """One of the two, as often as it is started.

    Args:
        state: What lies on the disk.
        site: `a` or `b`.
        program: What its process runs.
    """

    def __init__(self, state: Path, site: str, program: str) -> None:
        self._state, self.site, self._program = state, site, program
        self._process: asyncio.subprocess.Process | None = None
        self.classical = 0
        self.lives = 0
        name = {"a": MASTER, "b": SLAVE}[site]
        context = ssl.create_default_context(cafile=str(state / f"{name}.ca"))
        context.load_cert_chain(state / f"{name}.crt", state / f"{name}.key")
        self._client = httpx.AsyncClient(verify=context, trust_env=False, timeout=10.0)
        self._base = ""
        self.up = asyncio.Event()

    async def start(self, peer_port: int) -> None:
        """Start it, and wait until it serves."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", self._program, str(self._state), self.site, str(peer_port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(STARTED_WITHIN_S):
            said = await self._process.stdout.readline()
        if not said:
            raise SystemExit(f"the KME of site {self.site} did not start")
        began = msgspec.json.decode(said, type=Began)
        self._base = f"https://{LOOPBACK}:{began.door}/api/v1/keys"
        self.classical = began.classical
        self.up.set()

    async def kill(self) -> None:
        """SIGKILL."""
        self.up.clear()
        self.lives += 1
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def ask(self, path: str, body: dict[str, object]) -> tuple[int, bytes] | None:
        """The answer to a request; None where there was none."""
        try:
            answer = await self._client.post(f"{self._base}/{path}", json=body)
        except httpx.HTTPError:
            return None
        return answer.status_code, answer.content

    async def close(self) -> None:
        """End it."""
        await self.kill()
        await self._client.aclose()


class Asked(Protocol):
    """A KME to ask, which may be killed meanwhile.

    Attributes:
        lives: Grows with whatever happens to it.
        up: Whether it is worth asking.
    """

    lives: int
    up: asyncio.Event

    async def ask(self, path: str, body: dict[str, object]) -> tuple[int, bytes] | None:
        """The answer to a request; None where there was none."""
        ...


class Workers:
    """Who get keys at one KME and fetch them at the other, and what they saw.

    Args:
        a: Where keys are got.
        b: Where they are fetched.
        rng: Which earlier key is asked for again.
        names: Of the SAEs: who gets at `a`, who fetches at `b`.
        pause_s: After a pair.
    """

    def __init__(
        self,
        a: Asked,
        b: Asked,
        rng: random.Random,
        names: tuple[str, str] = (MASTER, SLAVE),
        pause_s: float = 0.0,
    ) -> None:
        self._a, self._b = a, b
        self.counts: Counter[str] = Counter()
        self.given: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        """When keys were asked for at `a`, and when they came."""
        self._master, self._slave = names
        self._rng = rng
        self._pause_s = pause_s
        self._issued: set[str] = set()
        self._fetched: deque[tuple[str, bytes]] = deque(maxlen=REMEMBERED)
        self._until = 0.0

    def begin(self, seconds: float) -> None:
        """Let `work` go on for so long from now on."""
        self._until = time.monotonic() + seconds

    async def work(self) -> None:
        """Be one worker."""
        while time.monotonic() < self._until:
            await self._a.up.wait()
            lives, asked_at = self._a.lives + self._b.lives, time.monotonic()
            got = await self._a.ask(f"{self._slave}/enc_keys", {"number": 1, "size": 256})
            if got is None or got[0] != 200:
                self.counts["lost in flight at A" if got is None else "not now at A"] += 1
                await asyncio.sleep(max(0.01, self._pause_s))
                continue
            self.given.append((asked_at, time.monotonic()))
            key_id, key = _only(got[1])
            self.counts["repeated ids"] += key_id in self._issued
            self._issued.add(key_id)
            await self._fetch(key_id, key, lives)
            if self._fetched:
                await self._again(*self._rng.choice(self._fetched))
            await asyncio.sleep(self._pause_s)

    async def audit(self) -> None:
        """At the end nothing that was given may be given once more, at either side."""
        for key_id, key in self._fetched:
            await self._again(key_id, key)
        for _ in range(AUDITED):
            got = await self._a.ask(f"{self._slave}/enc_keys", {"number": 1, "size": 256})
            if got is not None and got[0] == 200:
                self.counts["repeated ids"] += _only(got[1])[0] in self._issued

    async def _fetch(self, key_id: str, key: bytes, lives: int) -> None:
        """Fetch until there is an answer; only a kill may be in the way of a 200."""
        unanswered = False
        while True:
            await self._b.up.wait()
            answer = await self._dec(key_id)
            if answer is None:
                unanswered = True
            elif answer[0] == 200:
                self.counts["pairs"] += 1
                self.counts["unequal pairs"] += _only(answer[1]) != (key_id, key)
                self._fetched.append((key_id, key))
                await self._again(key_id, key)
                return
            elif answer[0] == 400:
                blamed = unanswered or lives != self._a.lives + self._b.lives
                self.counts["lost in flight at B" if blamed else "lost without a kill"] += 1
                return
            if time.monotonic() > self._until + STARTED_WITHIN_S:
                self.counts["unanswered at the end"] += 1
                return
            await asyncio.sleep(0.01)

    async def _again(self, key_id: str, key: bytes) -> None:
        """Ask once more for a key that was given."""
        await self._b.up.wait()
        answer = await self._dec(key_id)
        self.counts["asked again"] += 1
        if answer is not None and answer[0] == 200:
            self.counts["double deliveries"] += 1
            self.counts["unequal pairs"] += _only(answer[1]) != (key_id, key)

    async def _dec(self, key_id: str) -> tuple[int, bytes] | None:
        return await self._b.ask(f"{self._master}/dec_keys", {"key_IDs": [{"key_ID": key_id}]})


class Loop(Workers):
    """The workers, and the killer.

    Args:
        state: Prepared by `bench.keys`.
        rng: When who is killed.
        program: Of the KMEs.
    """

    def __init__(self, state: Path, rng: random.Random, program: str = SIDE) -> None:
        self.a, self.b = Kme(state, "a", program), Kme(state, "b", program)
        super().__init__(self.a, self.b, rng)

    async def run(self, seconds: float) -> Counter[str]:
        """Work and kill for so long; what was counted."""
        await self.b.start(0)
        await self.a.start(self.b.classical)
        self.begin(seconds)
        try:
            await asyncio.gather(self._kill(), *(self.work() for _ in range(WORKERS)))
            await self.audit()
        finally:
            await self.a.close()
            await self.b.close()
        return self.counts

    async def _kill(self) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(*BETWEEN_S))
            if time.monotonic() > self._until:
                return
            victim = self._rng.choice((self.a, self.b))
            await victim.kill()
            self.counts["kills"] += 1
            # B keeps its port, or A would not find it again.
            await victim.start(self.b.classical)


def _only(container: bytes) -> tuple[str, bytes]:
    (found,) = msgspec.json.decode(container)["keys"]
    return found["key_ID"], base64.b64decode(found["key"])


def run(seconds: float, seed: int, program: str = SIDE) -> Counter[str]:
    """Kill for so long; what was counted."""
    rng = random.Random(seed)  # noqa: S311 - a run has to be repeatable
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        stock.prepare(state, KEYS if seconds > 60 else KEYS // 50)
        pairs.certify(state)

        async def loop() -> Counter[str]:
            return await Loop(state, rng, program).run(seconds)

        return asyncio.run(loop())


def main() -> None:
    """Kill until the time is up; print the counts."""
    parser = argparse.ArgumentParser(description="Kill KMEs under load.")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long, 600 by default")
    parser.add_argument("--seed", type=int, default=None, help="of moments and victims")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    counts = run(arguments.seconds, seed)
    for name in sorted({*counts, *BAD, "pairs", "kills", "asked again"}):
        print(f"{counts[name]:>10,}  {name}")
    sys.exit(1 if any(counts[name] for name in BAD) else 0)


if __name__ == "__main__":
    main()
