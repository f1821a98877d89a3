"""Who a browser is to a console: its cookie, and whether its page is ours.

Cookies are sent with whatever a browser asks of a host, whichever page asks and whichever port is
meant, since cookies know no port. So what changes anything must say that it comes from a page of
this console itself: by `Origin`, which browsers set and pages cannot (Fetch, 3.1), and by
`Sec-Fetch-Site` where it is sent. What only reads needs no such word: other pages cannot see the
answer.
"""

import ipaddress
from urllib.parse import urlsplit

from bellwire.web.errors import RequestRefused
from bellwire.web.reader import Asked

MAX_COOKIES = 4096


class Origin:
    """The address of a console to browsers.

    Args:
        site: Whose console: cookies of two on one host differ.
        public: As the settings say, `https://HOST`; empty: as it listens.
        tls: Whether it speaks TLS itself.
    """

    def __init__(self, site: str, public: str, *, tls: bool) -> None:
        self._public = public
        self._tls = tls
        self.secure = public.startswith("https:") if public else tls
        """Whether browsers come by TLS."""
        self.cookie = f"__Host-bellwire-{site}" if self.secure else f"bellwire-{site}"
        """Name of the cookie."""

    def check_host(self, asked: Asked) -> str:
        """The origin that a request is for.

        Raises:
            RequestRefused: 403, it is for another host: somebody's name leads here (DNS rebinding).
        """
        host = _one(asked, b"host")
        if self._public:
            if host != urlsplit(self._public).netloc:
                raise RequestRefused(403, f"this console is at {self._public}")
            return self._public
        if self._tls:
            return f"https://{host}"
        if not _is_loopback(host):
            raise RequestRefused(403, "this console is asked for by an address of its machine")
        return f"http://{host}"

    def check_page(self, asked: Asked) -> None:
        """Let what a page of this console asks pass.

        Raises:
            RequestRefused: 403, it is another's page, or does not say; 415, it brings no JSON.
        """
        ours = self.check_host(asked)
        came, site = _one(asked, b"origin"), _one(asked, b"sec-fetch-site")
        if came != ours or site not in {"", "same-origin"}:
            raise RequestRefused(403, "this is for pages of this console")
        kind = _one(asked, b"content-type").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestRefused(415, "content-type: expected application/json, got another")

    def value_of(self, asked: Asked) -> str:
        """The value of our cookie; empty if there is none, or more than one."""
        found = []
        for name, value in asked.fields:
            if name != b"cookie" or len(value) > MAX_COOKIES:
                continue
            for each in value.split(b";"):
                key, _, given = each.strip().partition(b"=")
                if key == self.cookie.encode():
                    found.append(given.decode("latin-1"))
        return found[0] if len(found) == 1 else ""

    def set_cookie(self, value: str, left_s: float) -> bytes:
        """The header field that gives a browser its cookie; an empty value takes it away."""
        secure = "; Secure" if self.secure else ""
        age = int(left_s) if value else 0
        return (
            f"set-cookie: {self.cookie}={value}; Path=/; HttpOnly; SameSite=Strict; "
            f"Max-Age={age}{secure}\r\n"
        ).encode()


def _one(asked: Asked, name: bytes) -> str:
    """The value of a field; empty if it is not there once."""
    found = [value for key, value in asked.fields if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
