"""Lines to a relay wherever it is now: the one way in which a person's programs come to one.

Each place that is known is tried in order, what answers is checked against the relay's id that the
person keeps (`chat.following`), and a notice that comes on a line is kept before it is followed.
Where cards hint at is asked for the relay's notice and for nothing else: an id alone can be
repeated by anybody, and a notice that names the place cannot be had for a place of somebody else's.

Source: spec/places.md, 3; spec/relay.md, 7.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from bellwire.channel.errors import NoticeRefused
from bellwire.chat.errors import RelayChanged, RelayMisbehaved, RelayUnreachable
from bellwire.chat.following import Following, Known
from bellwire.chat.relay.client import RelayClient

LOCKED: Final = "the relay is in lockdown, until its operator ends it"

MAX_SIGNS: Final = 8
"""At old places, that are followed one after the other."""

NOTICE_WITHIN_S: Final = 3.0
"""How long a place at which a card hints has to say the notice."""

T = TypeVar("T")

log = structlog.get_logger("chat")


class Reaching:
    """For one person.

    Args:
        following: What they know of relays; used on other threads.
    """

    def __init__(self, following: Following) -> None:
        self.following = following

    async def reach(self, url: str) -> tuple[str, Known, RelayClient]:
        """A line to where the relay is; that place, and what was known then.

        Raises:
            RelayUnreachable, RelayMisbehaved, RelayChanged: none of its places has it.
        """
        known = await asyncio.to_thread(self.following.known, url)
        trouble: RelayUnreachable | RelayMisbehaved | RelayChanged | None = None
        for place in known.places:
            try:
                line = await RelayClient.connect(place)
            except (RelayUnreachable, RelayMisbehaved) as error:
                trouble = trouble or error
                continue
            try:
                challenge = await line.challenge()
                await asyncio.to_thread(self.following.meet, url, challenge.relay_id)
            except RelayChanged as error:
                line.close()
                trouble = error
            except BaseException:
                line.close()
                raise
            else:
                return place, known, line
        assert trouble is not None  # there is one place at least
        for place in known.hints:
            found = await self._hinted(url, place)
            if found is not None:
                return found
        raise trouble

    async def _hinted(self, url: str, hint: str) -> tuple[str, Known, RelayClient] | None:
        """A line to where the relay is, by the notice that is to be had at a hint; or None."""
        try:
            async with await RelayClient.connect(hint) as line:
                challenge = await line.challenge()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(NOTICE_WITHIN_S):
                        await line.noticed.wait()
            known = await asyncio.to_thread(self.following.known, url)
            if challenge.relay_id != known.relay_id or not line.notice:
                return None
            known = await asyncio.to_thread(self.following.learn, url, line.notice)
        except (RelayUnreachable, RelayMisbehaved):
            return None
        except NoticeRefused as error:
            log.warning("a notice of a relay was refused", why=str(error))
            return None
        if known.notice is None or not known.notice.places:
            return None
        return await self.reach(url)  # a notice counts now: no hint is asked any more

    async def begun(self, url: str, begin: Callable[[RelayClient], Awaitable[T]]) -> T:
        """What `begin` makes of a line to where the relay is; signs at old places are followed.

        Raises:
            RelayUnreachable, RelayMisbehaved, RelayChanged: as `reach`, and what `begin` raises.
        """
        for is_last in (False,) * (MAX_SIGNS - 1) + (True,):
            try:
                place, known, line = await self.reach(url)
            except RelayUnreachable as error:
                if await self.is_locked(url):
                    raise RelayUnreachable(LOCKED) from error
                raise
            try:
                begun = await begin(line)
            except (RelayUnreachable, RelayMisbehaved):
                line.close()
                # A sign says where the relay is, and hangs up.
                if is_last or not await self.has_moved(url, place, known, line):
                    raise
            except BaseException:
                line.close()
                raise
            else:
                await self.has_moved(url, place, known, line)
                return begun
        raise AssertionError("unreachable")

    async def is_locked(self, url: str) -> bool:
        """Whether the relay has said that nothing passes."""
        return (await asyncio.to_thread(self.following.known, url)).is_locked

    async def has_moved(self, url: str, place: str, before: Known, line: RelayClient) -> bool:
        """Whether the line brought a notice by which the relay is to be looked for elsewhere.

        One that was known when the line was made is none: its places did not answer.
        """
        line.noticed.clear()
        if not line.notice:
            return False
        try:
            known = await asyncio.to_thread(self.following.learn, url, line.notice)
        except NoticeRefused as error:
            log.warning("a notice of a relay was refused", why=str(error))
            return False
        if known.sequence <= before.sequence or known.notice is None:
            return False
        return place not in {each.url for each in known.notice.places}
