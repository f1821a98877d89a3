"""The console that `bellwire guard` tells how it is."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bellwire.guard.report import Reporter


def reporter_to(
    console: str | None,
    token: Path | None,
    ca: Path | None,
    about: dict[str, object],
) -> "Reporter | None":
    """Who tells the console; None if nobody is to be told.

    Raises:
        UsageError: an option without the other, or one that cannot be used.
    """
    import ssl

    from bellwire.base.errors import UsageError
    from bellwire.console.carrier import check_url
    from bellwire.guard.report import Reporter, read_token

    if console is None:
        if token is not None or ca is not None:
            raise UsageError("expected --console with --console-token and --console-ca")
        return None
    if token is None:
        raise UsageError("expected --console-token, the file with our token, with --console")
    try:
        tls = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise UsageError(f"--console-ca: expected certificates in PEM in {ca}") from error
    return Reporter(check_url(console), read_token(token), tls, about=about)
