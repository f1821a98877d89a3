"""Logging: structured events on standard error, which never carry key material.

Whatever is logged passes `hide`, which lets through only plain values. Bytes, arrays and secrets
become their size; an object of any other kind becomes the name of its type, because its repr may
show anything. Tracebacks are printed without local variables, for the same reason. Records of the
standard library's logging take the same way.
"""

import logging
import os
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bellwire.base.secret import Secret

DEEPEST = 6  # levels of nesting that are shown; nothing we log has more


def setup(
    level: Literal["debug", "info", "warning", "error"] = "info",
    form: Literal["console", "json"] = "console",
    stream: TextIO | None = None,
) -> None:
    """Send all logging of this process to standard error.

    Args:
        level: The least important events that are logged.
        form: Lines for people, or one JSON document per line.
        stream: Where to, instead of standard error.
    """
    target = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(target)
    handler.addFilter(_hide_arguments)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _render_exception,
                hide,
                _renderer(form, target),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore"):  # a line for each request, whatever becomes of it
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def hide(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Processor: leave only plain values in an event."""
    return {key: shown(value) for key, value in event.items()}


def shown(value: object, depth: int = 0) -> object:
    """What a log may show of a value.

    Plain values stay, containers keep their shape, everything else is named by type and size.
    """
    if isinstance(value, Enum):
        return shown(value.value, depth)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {str(shown(k, depth + 1)): shown(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
        return [shown(each, depth + 1) for each in value]
    return _named(value)


def _named(value: object) -> str:
    """What a value that is neither plain nor a container is called in a log."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, memoryview):
        return f"<memoryview, {value.nbytes} bytes>"
    if isinstance(value, bytes | bytearray | Secret):
        return f"<{type(value).__name__}, {len(value)} bytes>"
    return f"<{type(value).__name__}>"


def _hide_arguments(record: logging.LogRecord) -> bool:
    """Filter of the standard library's records: their arguments are shown as ours are."""
    if isinstance(record.msg, str) and record.args:
        if isinstance(record.args, Mapping):
            record.args = {key: shown(value) for key, value in record.args.items()}
        else:
            record.args = tuple(_formattable(value) for value in record.args)
    elif not isinstance(record.msg, str | dict):
        record.msg = shown(record.msg)
    return True


def _formattable(value: object) -> object:
    """Exact for numbers, so that %d and %f still work."""
    return value if isinstance(value, int | float) else shown(value)


def _render_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Processor: the traceback as text, without local variables."""
    return structlog.processors.format_exc_info(logger, method, event)


def _renderer(form: str, target: TextIO) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    colours = target.isatty() and not os.environ.get("NO_COLOR")
    return structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback
    )
