"""A device of the journeys: it registers a name, or enrols by a code and sends readings.

    python -m tests.pages.device STATE register NAME
    python -m tests.pages.device STATE enroll ADDRESS

The code comes on standard input; STATE is that of the services, and the device's own lies beside.
"""

import asyncio
import json
import sys
from pathlib import Path

from bellwire.cli.main import run
from bellwire.services.control import look
from bellwire.services.place import place_of

READINGS = 24


def main(state: Path, verb: str, said: str) -> int:
    own = ["--state", str(state.parent / "device")]
    if verb == "register":
        services = asyncio.run(look(place_of(state)))
        assert services is not None
        (at,) = [str(each.ready["url"]) for each in services.services if each.name == "admission"]
        return run(["register", said, "--at", at, *own])
    readings = state.parent / "readings.jsonl"
    rows = [{"celsius": 20 + at % 7 / 2, "humidity": 50 - at} for at in range(READINGS)]
    readings.write_text("".join(f"{json.dumps(each)}\n" for each in rows))
    code = run(["device", "enroll", "--code", "-", "--to", said, *own])
    keys = ["--keys", str(state / "node-a" / "keys.sock"), "--qkd", "prefer"]
    return code or run(["device", "send", "--to", said, *keys, "--data", str(readings), *own])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
