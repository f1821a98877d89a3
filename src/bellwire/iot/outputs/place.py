"""Where readings should go, as people write it: `sqlite:PATH`, `nats://…`, `mqtt://…`.

No password is part of it: an address is shown by `ps` and in logs. Credentials are files.
"""

import re
import ssl
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from bellwire.base.errors import get_extra
from bellwire.base.private import read_own_file
from bellwire.iot.errors import OutputUnknown
from bellwire.iot.outputs.item import Output
from bellwire.iot.outputs.sqlite import SqliteOutput

PORTS: Final = {"nats": 4222, "mqtt": 1883}
SUBJECT: Final = "bellwire.readings"
TOPIC: Final = "bellwire/readings"
MAX_SECRET: Final = 4096
_EXPECTED: Final = "sqlite:PATH, nats://HOST[:PORT][/SUBJECT] or mqtt://HOST[:PORT][/TOPIC]"
_OPTIONS: Final = {"nats": {"credentials", "ca"}, "mqtt": {"user", "password-file", "ca"}}
_LIBRARIES: Final = {"nats": "nats", "mqtt": "aiomqtt"}
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, slots=True)
class Place:
    """A place, read and checked; nothing is opened yet.

    Attributes:
        kind: Of output.
        name: Under which its cursors are kept: without options, so that credentials may change.
        path: Of the SQLite file.
        host: Of the server or broker.
        port: Of the server or broker.
        under: Subject or topic.
        options: Files and names.
    """

    kind: Literal["sqlite", "nats", "mqtt"]
    name: str
    path: Path = Path()
    host: str = ""
    port: int = 0
    under: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def open(self) -> Output:
        """The output, which connects when it gets its first readings.

        Raises:
            OutputUnknown: a file that an option names cannot be read.
            PathUnusable, PathExposed: that of a password cannot, or others can as well.
        """
        if self.kind == "sqlite":
            return SqliteOutput(self.path)
        return self._nats() if self.kind == "nats" else self._mqtt()

    def _nats(self) -> Output:
        from bellwire.iot.outputs.nats import NatsOutput  # noqa: PLC0415 - an extra

        tls = self._tls()
        server = f"{'nats' if tls is None else 'tls'}://{self._where}"
        credentials = dict(self.options).get("credentials")
        if credentials is not None and not Path(credentials).is_file():
            raise OutputUnknown(f"expected credentials in {credentials}, got no such file")
        return NatsOutput(server, self.under, credentials=credentials, tls=tls)

    def _mqtt(self) -> Output:
        from bellwire.iot.outputs.mqtt import MqttOutput  # noqa: PLC0415 - an extra

        options = dict(self.options)
        return MqttOutput(
            self.host,
            self.port,
            self.under,
            user=options.get("user"),
            password=_secret(options.get("password-file")),
            tls=self._tls(),
        )

    def _tls(self) -> ssl.SSLContext | None:
        authorities = dict(self.options).get("ca")
        if authorities is None:
            return None
        try:
            return ssl.create_default_context(cafile=authorities)
        except OSError as error:
            raise OutputUnknown(
                f"expected certificates of authorities in {authorities}, got: {error}"
            ) from error

    @property
    def _where(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_place(text: str) -> Place:
    """Read a place.

    Raises:
        OutputUnknown: it is misspelt, has a password in it, or its library is not installed.
    """
    kind, colon, rest = text.partition(":")
    if kind == "sqlite" and colon and rest and not rest.startswith("//"):
        path = Path(rest).absolute()
        return Place("sqlite", f"sqlite:{path}", path=path)
    if kind not in PORTS or not rest.startswith("//"):
        raise OutputUnknown(f"expected {_EXPECTED}, got {kind!r} and what follows it")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or PORTS[kind]
        options = tuple(sorted(parse_qsl(parts.query, strict_parsing=bool(parts.query))))
    except ValueError as error:
        raise OutputUnknown(f"expected {_EXPECTED}, got one that is malformed") from error
    if parts.username is not None or parts.password is not None:
        raise OutputUnknown(
            f"expected {kind}://HOST without a user or password, got one with them",
            hint="Name files: ?credentials=FILE for NATS, ?user=NAME&password-file=FILE for MQTT.",
        )
    unknown = {name for name, _ in options} - _OPTIONS[kind]
    if not host or unknown or "#" in text or len(dict(options)) != len(options):
        wanted = ", ".join(sorted(_OPTIONS[kind]))
        raise OutputUnknown(
            f"expected {_EXPECTED}, and of options each of {wanted} once at most, got {text!r}"
        )
    under = _under(kind, parts)
    if find_spec(_LIBRARIES[kind]) is None:
        raise OutputUnknown(
            f"expected the library for {kind}://, which is not installed",
            hint=get_extra(kind),
        )
    where = f"[{host}]" if ":" in host else host
    name = f"{kind}://{where}:{port}/{under}"
    return Place("nats" if kind == "nats" else "mqtt", name, Path(), host, port, under, options)


def _under(kind: str, parts: SplitResult) -> str:
    """The subject or topic; words of letters, digits, `_` and `-`, none a wildcard."""
    between, default = (".", SUBJECT) if kind == "nats" else ("/", TOPIC)
    under = parts.path.strip("/") or default
    words = under.split(between)
    if len(words) > 10 or not all(_WORD.fullmatch(word) for word in words):
        raise OutputUnknown(
            f"expected words of letters, digits, _ and - with {between!r} between them, "
            f"got {under!r}"
        )
    return under


def _secret(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        data = read_own_file(Path(path), MAX_SECRET)
        if data is None:
            raise OutputUnknown(f"expected a password in {path}, got no such file")
        return data.decode().strip("\n")
    except UnicodeDecodeError as error:
        raise OutputUnknown(f"expected a password in {path}, got no text") from error
