"""The witnesses of a log, as its policy file names them, over HTTP."""

import contextlib
import ssl
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from bellwire.base.errors import UnreachableError, UsageError
from bellwire.ledger.errors import PolicyUnusable
from bellwire.ledger.note import Note
from bellwire.ledger.policy import MAX_POLICY_BYTES, Policy, parse_policy
from bellwire.ledger.proving import Prover
from bellwire.ledger.service.signer import Identity
from bellwire.ledger.service.witnesses import AskedWitness, Post, Witnesses

MAX_ANSWER: Final = 64 << 10
"""A cosignature of ML-DSA-44 has 3.3 kB in base64."""


@dataclass(frozen=True, slots=True)
class WitnessesOptions:
    """What the command line says of a log's witnesses.

    Attributes:
        policy: A tlog-policy file: witnesses with their addresses, and the quorum.
        authorities: Who may vouch for their TLS, PEM; None means whom the system believes.
        within_s: For each to answer, in seconds.
    """

    policy: Path
    authorities: Path | None
    within_s: float


class WitnessAbsent(UnreachableError):
    """A witness does not answer a log, or not as one does."""


def read_policy(path: Path, identity: Identity) -> Policy:
    """The policy by which a log asks its witnesses.

    Args:
        path: Of the file.
        identity: Of the log, which cannot be its own witness.

    Raises:
        PolicyUnusable: it is none, is another log's, names no witness, or one without an address.
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            policy = parse_policy(file.read(MAX_POLICY_BYTES + 1))
    except OSError as error:
        raise UsageError(f"expected to read {path}, got: {error.strerror}") from error
    if policy.logs and not set(policy.logs) & set(identity.keys):
        raise PolicyUnusable(f"expected a policy of {identity.origin}, got one of other logs")
    if not policy.witnesses:
        raise PolicyUnusable(f"expected witnesses in {path}, got none")
    addresses = dict(policy.addresses)
    for name, _ in policy.witnesses:
        parts = urlsplit(addresses.get(name, ""))
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise PolicyUnusable(
                f"witness {name}: expected its address as https://HOST:PORT after its key,"
                f" got {addresses.get(name, 'none')[:80]!r}"
            )
    return replace(policy, logs=identity.keys)


async def open_witnesses(
    stack: contextlib.AsyncExitStack,
    options: WitnessesOptions,
    identity: Identity,
    prover: Prover,
    shown: Note | None,
) -> Witnesses:
    """The witnesses of a log, with connections that close with the stack.

    Args:
        stack: Of the log.
        options: From the command line.
        identity: Of the log.
        prover: For the proofs to them, and for nothing else.
        shown: The last checkpoint that was shown.

    Raises:
        PolicyUnusable, UsageError: as `read_policy`; or there are no such authorities.
        NotCosigned: a cosignature of the last checkpoint does not hold any more.
    """
    policy = read_policy(options.policy, identity)
    try:
        tls = ssl.create_default_context(cafile=options.authorities)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"expected authorities in PEM in {options.authorities}, got: {error}"
        ) from error
    client = await stack.enter_async_context(
        httpx.AsyncClient(
            verify=tls, trust_env=False, follow_redirects=False, timeout=options.within_s
        )
    )
    addresses = dict(policy.addresses)
    asked = [
        AskedWitness(name, key, _post(client, addresses[name])) for name, key in policy.witnesses
    ]
    return Witnesses(asked, policy, prover, shown, time.monotonic, within_s=options.within_s)


def _post(client: httpx.AsyncClient, prefix: str) -> Post:
    url = prefix.rstrip("/") + "/add-checkpoint"

    async def post(body: bytes) -> tuple[int, bytes]:
        data = b""
        try:
            async with client.stream("POST", url, content=body) as answer:
                async for piece in answer.aiter_bytes():
                    data += piece
                    if len(data) > MAX_ANSWER:
                        raise WitnessAbsent(f"expected at most {MAX_ANSWER} bytes, got more")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise WitnessAbsent(
                f"expected an answer from {url}, got: {error or type(error).__name__}"
            ) from error
        return answer.status_code, data

    return post
