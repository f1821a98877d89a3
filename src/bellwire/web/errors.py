"""What a door of HTTP can refuse, and why it may not open.

BellwireError
├── RequestRefused   (RefusedError) a request ends with another code than 200
└── DoorUnusable     (UsageError) the address cannot be listened on
"""

from collections.abc import Mapping, Sequence

from bellwire.base.errors import RefusedError, UsageError


class RequestRefused(RefusedError):
    """A request that is answered with another code than 200, and an Error body.

    Attributes:
        code: Of HTTP.
        details: Objects beside the message (ETSI GS QKD 014, table 13).
        headers: Further ones of the answer.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        details: Sequence[Mapping[str, object]] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.details = details
        self.headers = headers


class DoorUnusable(UsageError):
    """The address cannot be listened on."""
