"""Whether a key server refuses our certificate without a word.

TLS has an alert for that, and servers on Python's asyncio or uvloop do not send it: they hang up in
the handshake of TLS 1.2 and right after that of TLS 1.3, which a client cannot tell from a server
that breaks down. So once a connection broke off, one more is made, on which nothing is asked: a
server that takes our certificate waits there for a request.
"""

import asyncio
import ssl
from urllib.parse import urlsplit

WAITS_S = 0.3
"""A server that refuses hangs up as soon as it has our certificate: after one way of the network,
which the handshake has shown to be short."""


async def hangs_up(url: str, tls: ssl.SSLContext, timeout_s: float) -> bool:
    """Whether the server at `url` ends a connection on which TLS was made and nothing was asked.

    Args:
        url: `https://HOST[:PORT]…`, checked.
        tls: With our certificate.
        timeout_s: For making the connection.
    """
    parsed = urlsplit(url)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(parsed.hostname, parsed.port or 443)
    except OSError:  # TimeoutError among them
        return False
    try:
        async with asyncio.timeout(timeout_s):
            await writer.start_tls(tls, server_hostname=parsed.hostname)
        async with asyncio.timeout(WAITS_S):
            return not await reader.read(1)
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        # Not `wait_closed`: of a handshake that was given up, asyncio never says that it is closed.
        writer.transport.abort()
        await asyncio.sleep(0)
