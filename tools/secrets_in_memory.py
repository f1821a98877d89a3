#!/usr/bin/env python
"""How many keys that left are still in the memory of the KMEs that gave them?

    .venv/bin/python tools/secrets_in_memory.py

Two KMEs of `bellwire bench keys` give keys over HTTPS, each got at A and fetched at B. All memory
that the two processes can write is then searched for each of these keys, as bytes and in the base64
of their answers: at once, after some seconds, after as many other keys, and without connections.
What is found was marked before it left, and is given to nobody else; but whoever reads the memory
of the process has it. Linux alone, as root or with leave to trace children.
"""

import base64
import re
import ssl
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bellwire.bench.keys import pairs, stock
from bellwire.bench.keys.load import LOOPBACK, MASTER, SLAVE, Site

STOCK = 20_000
KEYS = 20
LATER_S = 5.0
AT_ONCE = 1 << 24
WRITABLE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw")


class Door:
    """A KME, as its SAE asks it."""

    def __init__(self, site: Site) -> None:
        context = ssl.create_default_context(cafile=site.trusted)
        context.load_cert_chain(site.certificate, site.key)
        base = f"https://{LOOPBACK}:{site.port}/api/v1/keys/"
        self._client = httpx.Client(verify=context, trust_env=False, base_url=base)

    def ask(self, path: str, body: dict[str, object]) -> list[dict[str, str]]:
        """The keys of an answer."""
        answer = self._client.post(path, json=body).raise_for_status()
        found: list[dict[str, str]] = answer.json()["keys"]
        return found

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def give(a: Door, b: Door, count: int) -> list[bytes]:
    """So many keys, each got at A and fetched at B."""
    keys = []
    for _ in range(count):
        (got,) = a.ask(f"{SLAVE}/enc_keys", {"number": 1, "size": 256})
        (fetched,) = b.ask(f"{MASTER}/dec_keys", {"key_IDs": [{"key_ID": got["key_ID"]}]})
        assert fetched == got, "two sides were given different keys"
        keys.append(base64.b64decode(got["key"]))
    return keys


def left(pid: int, keys: list[bytes]) -> tuple[int, int]:
    """How many keys are in a process's memory: as bytes, and in base64."""
    spellings = [(key, base64.b64encode(key)) for key in keys]
    found: tuple[set[int], set[int]] = set(), set()
    maps = Path(f"/proc/{pid}/maps").read_text("ascii", errors="replace")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for area in (match for line in maps.splitlines() if (match := WRITABLE.match(line))):
            first, stop = (int(each, 16) for each in area.groups())
            for at in range(first, stop, AT_ONCE):
                try:
                    memory.seek(at)
                    data = memory.read(min(AT_ONCE + 64, stop - at))  # one may lie across the end
                except OSError:  # given back meanwhile, or not readable
                    continue
                for number, spelt in enumerate(spellings):
                    for kind, text in enumerate(spelt):
                        if text in data:
                            found[kind].add(number)
    return len(found[0]), len(found[1])


def main() -> None:
    """Give keys, and look what is left of them."""
    with tempfile.TemporaryDirectory(prefix="bw") as name:
        folder = Path(name)
        stock.prepare(folder, STOCK)
        pairs.certify(folder)
        with pairs.bellwire(folder) as running:
            doors = [Door(site) for site in running.sites]
            keys = give(doors[0], doors[1], KEYS)
            tell("at once", running.sites, keys)
            time.sleep(LATER_S)
            tell(f"after {LATER_S:.0f} s", running.sites, keys)
            give(doors[0], doors[1], KEYS)
            tell(f"after {KEYS} other keys", running.sites, keys)
            for door in doors:
                door.close()
            time.sleep(1.0)
            tell("after their connections ended", running.sites, keys)


def tell(when: str, sites: tuple[Site, Site], keys: list[bytes]) -> None:
    """One line for each site."""
    for name, site in zip("AB", sites, strict=True):
        raw, spelt = left(site.pid, keys)
        print(f"{when}: site {name}: {raw} of {len(keys)} keys as bytes, {spelt} in base64")


if __name__ == "__main__":
    main()
