"""The device's side of enrolment by a code, over TCP: one request, one answer."""

import asyncio
import contextlib

from bellwire.base.frames import ConnectionEnded
from bellwire.iot.code import Code
from bellwire.iot.destination import Address
from bellwire.iot.enrol_messages import (
    MAX_ANSWER_BODY,
    Answer,
    Reason,
    make_request,
    read_answer,
)
from bellwire.iot.errors import (
    CloudUnreachable,
    CodeExpired,
    CodeRefused,
    CodeSpent,
    CodeUnknown,
    CodeUsed,
)
from bellwire.iot.line import read_message, write_message

_REFUSALS: dict[Reason | None, tuple[type[CodeRefused], str, str]] = {
    Reason.USED: (
        CodeUsed,
        "expected a code that is still good, got one that was used",
        "If that was none of yours, take it off the cloud's list, and ask for a new code.",
    ),
    Reason.EXPIRED: (CodeExpired, "expected a code that is valid now, got an expired one", ""),
    Reason.SPENT: (
        CodeSpent,
        "expected a code that nobody has guessed at, got one that was tried wrongly too often",
        "",
    ),
    None: (
        CodeUnknown,
        "expected a cloud that knows this code, got one that does not",
        "Is this the cloud that gave it? It may also have been taken back.",
    ),
}


async def join(code: Code, public: bytes, to: Address, timeout_s: float = 20.0) -> Answer:
    """Ask the cloud that gave a code to admit this device.

    Until it is expired, asking again with the same key is harmless.

    Args:
        code: From the cloud.
        public: This device's public key.
        to: Where the cloud listens.
        timeout_s: For the connection, and for the answer.

    Returns:
        The cloud's public key and name, and what it calls this device: from who has the code.

    Raises:
        CodeUnknown, CodeUsed, CodeExpired, CodeSpent: the cloud refuses.
        EnrolmentFailed: what answers has not the code, or does not speak this protocol.
        CloudUnreachable: nothing answers.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(to.host, to.port)
    except OSError as error:  # TimeoutError is an OSError.
        raise _unreachable(to, "got no answer") from error
    request = make_request(code, public)
    try:
        async with asyncio.timeout(timeout_s):
            await write_message(writer, request)
            found = read_answer(await read_message(reader, MAX_ANSWER_BODY), request, code)
    except (ConnectionEnded, TimeoutError) as error:
        raise _unreachable(to, "which took the request and did not answer") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if isinstance(found, Answer):
        return found
    kind, message, hint = _REFUSALS[found]
    raise kind(message, hint=hint or "Ask for a new code: bellwire cloud invite")


def _unreachable(to: Address, what: str) -> CloudUnreachable:
    return CloudUnreachable(
        f"expected a cloud at {to} that enrols by codes, {what}",
        hint="Is it running, at this address? The code is still good: try again.",
    )
