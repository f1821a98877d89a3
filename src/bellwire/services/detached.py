"""`bellwire up --detach`: a supervisor that outlives the command that starts it."""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError
from bellwire.base.private import own_folder
from bellwire.services.logs import begin_log
from bellwire.services.place import place_of

MAX_DOCUMENT = 1 << 20
KINDS = {kind.exit_code: kind for kind in (UsageError, RefusedError, UnreachableError)}


async def start_detached(state: Path, config: Path | None, *, lab: bool) -> dict[str, Any]:
    """Start a supervisor in a session of its own; what it says when all services are up.

    If we are interrupted before that, it is stopped.

    Args:
        state: The state folder.
        config: The settings file to hand on, absolute.
        lab: Whether the link is one of the lab.

    Raises:
        BellwireError: what it said instead.
    """
    place = place_of(state)
    own_folder(place.log("up").parent)
    arguments = ["up", "--json", "--state", str(place.state), *(["--lab"] if lab else [])]
    arguments += ["--config", str(config)] if config is not None else []
    begin_log(place.log("up"))
    with place.log("up").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bellwire",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=MAX_DOCUMENT,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()
        raise
    document: dict[str, Any] = json.loads(line) if line else {}
    if "error" in document:
        await process.wait()
        said = document["error"]
        raise KINDS.get(said["code"], BellwireError)(said["message"], hint=said["hint"])
    if not document:
        raise BellwireError(
            "the services were stopped before all of them were up",
            hint=f"What happened: {place.log('up')}",
        )
    return document
