"""The plain alternative of `bellwire bench keys`: two of these are a pair of KMEs without promises.

FastAPI and pydantic on uvicorn with uvloop and httptools. Keys are drawn from a seed that both
have, lie in memory ready to be sent, and are forgotten when they leave; nothing is written, checked
against a certificate's name, agreed or restored. Answers have the bytes of a real one.

    python benchmarks/plain_kme.py IDENTITY.pem TRUSTED.pem KEYS SEED

prints the port on which it listens, and ends when its input does.
"""

import asyncio
import base64
import random
import socket
import ssl
import sys
import uuid
from typing import Annotated

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

LOOPBACK = "127.0.0.1"
MOST = 1024


class KeyRequest(BaseModel):
    """Table 10 of ETSI GS QKD 014."""

    number: Annotated[int, Field(ge=1, le=MOST)] = 1
    size: Annotated[int, Field(ge=256, le=256)] = 256


class KeyId(BaseModel):
    """An element of table 12."""

    key_ID: uuid.UUID  # noqa: N815 - the standard's name


class KeyIds(BaseModel):
    """Table 12."""

    key_IDs: Annotated[list[KeyId], Field(min_length=1, max_length=MOST)]  # noqa: N815


class Key(BaseModel):
    """An element of table 11."""

    key_ID: str  # noqa: N815
    key: str


class KeyContainer(BaseModel):
    """Table 11."""

    keys: list[Key]


def application(count: int, seed: int) -> FastAPI:
    """A KME with `count` keys of 256 bits."""
    rng = random.Random(seed)  # noqa: S311 - nobody's keys
    keys = {
        str(uuid.UUID(bytes=rng.randbytes(16), version=4)): base64.b64encode(
            rng.randbytes(32)
        ).decode()
        for _ in range(count)
    }
    order = iter(list(keys))
    app = FastAPI()

    @app.post("/api/v1/keys/{slave}/enc_keys")
    async def enc_keys(slave: str, asked: KeyRequest) -> KeyContainer:
        taken = [name for name, _ in zip(order, range(asked.number), strict=False)]
        if len(taken) < asked.number:
            raise HTTPException(503, "no key is left")
        return KeyContainer(keys=[Key(key_ID=name, key=keys.pop(name)) for name in taken])

    @app.post("/api/v1/keys/{master}/dec_keys")
    async def dec_keys(master: str, asked: KeyIds) -> KeyContainer:
        names = [str(each.key_ID) for each in asked.key_IDs]
        if any(name not in keys for name in names):
            raise HTTPException(400, "one or more keys specified are not found on KME")
        return KeyContainer(keys=[Key(key_ID=name, key=keys.pop(name)) for name in names])

    return app


async def serve(identity: str, trusted: str, count: int, seed: int) -> None:
    """Serve until standard input ends."""
    listener = socket.create_server((LOOPBACK, 0), backlog=1024)
    server = uvicorn.Server(
        uvicorn.Config(
            application(count, seed),
            loop="uvloop",
            http="httptools",
            log_level="error",
            ssl_certfile=identity,
            ssl_ca_certs=trusted,
            ssl_cert_reqs=ssl.CERT_REQUIRED,
        )
    )
    serving = asyncio.create_task(server.serve([listener]))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
