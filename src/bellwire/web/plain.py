"""What APIs of plain JSON have in common: the way to what answers, the pace, the body."""

import math
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from bellwire.web.errors import RequestRefused

T = TypeVar("T")


def for_verb(verbs: Mapping[bytes, T] | None, verb: bytes) -> T:
    """What answers at a path.

    Args:
        verbs: What there is, by the verb that asks for it; None: nothing.
        verb: Of the request.

    Raises:
        RequestRefused: 404, 405.
    """
    if verbs is None:
        raise RequestRefused(404, "there is nothing at this path")
    if verb not in verbs:
        allowed = ", ".join(each.decode() for each in verbs)
        raise RequestRefused(405, f"this is asked for by {allowed}", headers=[("allow", allowed)])
    return verbs[verb]


def require_pace(wait_s: float) -> None:
    """Return only if there is nothing to wait for.

    Args:
        wait_s: From `rates.Rates`.

    Raises:
        RequestRefused: 429.
    """
    if wait_s:
        raise RequestRefused(
            429,
            "more requests than are permitted",
            headers=[("retry-after", str(max(1, math.ceil(wait_s))))],
        )


def read_body(
    body: bytes, kind: type[T], *, name: str = "what is asked for", misfit: int = 400
) -> T:
    """What a request brings.

    Args:
        body: As it came.
        kind: What it must be.
        name: The same in words.
        misfit: The code for JSON that is something else.

    Raises:
        RequestRefused: 400, or `misfit`.
    """
    code = 400
    try:
        body.decode()  # JSON is UTF-8 in those members as well that are skipped
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        code, why = misfit, str(error)  # types and a path, no content
    except (msgspec.DecodeError, ValueError):
        why = "expected JSON in UTF-8, got something else"
    except RecursionError:
        why = "expected JSON of less depth"
    raise RequestRefused(code, f"the body is not {name}: {why[:1].lower()}{why[1:]}")
