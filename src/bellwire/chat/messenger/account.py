"""Our handle at our relay: the session there, what others find, and whom we look for.

The token of the session is in the person's sealed store; a password is used and not kept. While the
messenger runs, keys for those who write first are kept at the relay, and the box that they write to
is drawn anew from time to time. The relay is the one that messages go to, and followed where it
moves (`chat.reaching`). Whose a handle is, is remembered: another one later is an alarm. Whom we
look for is asked on lines of their own, on which we do not say who we are.

Source: spec/accounts.md, 5.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from bellwire.base.handles import canonical
from bellwire.base.secret import Secret
from bellwire.chat.accounts.answers import Device, Session
from bellwire.chat.accounts.client import AccountClient
from bellwire.chat.accounts.fields import AccountReason, Visibility
from bellwire.chat.accounts.somebody import Somebody
from bellwire.chat.accounts.stock import replenish
from bellwire.chat.card import Card
from bellwire.chat.errors import (
    AccountRefused,
    ChatMisuse,
    IdentityChanged,
    RelayChanged,
    RelayMisbehaved,
    RelayRefused,
    RelayUnreachable,
)
from bellwire.chat.following import Following
from bellwire.chat.identity import SEED_BYTES, Identity
from bellwire.chat.messenger.views import Alert, AlertKind, Event
from bellwire.chat.reaching import Reaching
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.store.person import Person

PUBLISH_EVERY_S: Final = 3600.0
"""The relay hands out a one-time prekey a minute at most, so that a hundred outlast this."""

AGAIN_S: Final = (5.0, 20.0, 60.0, 300.0)
"""After how long we try again to publish; the last of them from then on."""

NEW_BOX_AFTER_S: Final = 7 * 86_400
_ACCOUNT: Final = "account"
_HANDLES: Final = "identities of handles"
T = TypeVar("T")


class KeptAccount(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of an account; its repr shows nothing secret.

    Attributes:
        handle: Its name.
        token: Of the session; empty: logged out. Secret.
        device: What the relay knows this device by.
        expires: When the session ends if nothing is asked, in seconds since the epoch.
        is_ours: Whether it is of this person's identity, so that who asks for it finds us.
    """

    handle: str
    token: bytes
    device: bytes
    expires: int
    is_ours: bool = True

    def __repr__(self) -> str:
        return f"KeptAccount({self.handle})"


class Account:
    """Of one person; `Messenger.account`.

    Every call that asks the relay raises RelayUnreachable, RelayMisbehaved, RelayRefused,
    RelayChanged and AccountRefused.

    Args:
        person: Whose.
        url: Of our relay.
        account: The key by which the relay knows our mailboxes.
        card: How we are reached by a right.
        reroute: There are other mailboxes.
        tell: What happened.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        person: Person,
        url: str,
        account: Identity,
        *,
        card: Callable[[bytes], Card],
        reroute: Callable[[], Awaitable[None]],
        tell: Callable[[Event], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._person, self._url, self._account = person, url, account
        self._card, self._reroute, self._tell, self._now = card, reroute, tell, now
        self._reaching = Reaching(Following(person, now))
        self._changed = asyncio.Event()
        self._publishing = asyncio.Lock()
        self._searching = asyncio.Lock()
        self._finder: AccountClient | None = None

    async def kept(self) -> KeptAccount | None:
        """The account that we have; None: none."""
        value = await asyncio.to_thread(self._person.kept, _ACCOUNT)
        return None if value is None else msgspec.msgpack.decode(value, type=KeptAccount)

    # Having an account

    async def sign_up(
        self, handle: str, password: Secret, device: str, invitation: bytes | None = None
    ) -> None:
        """Have a handle at our relay, and be found by it.

        Args:
            handle: To have.
            password: For log-ins.
            device: What this machine is called in the list of devices.
            invitation: Where the relay wants one.

        Raises:
            HandleMalformed, ChatMisuse: as `AccountClient.sign_up`, or we have one already.
        """
        there = await self.kept()
        if there is not None and there.handle != canonical(handle):
            raise ChatMisuse(
                f"expected to sign up once, got another handle beside @{there.handle}",
                hint="Delete that account first, or make another person for this handle.",
            )
        async with await self._connect() as client:
            session = await client.sign_up(
                handle, password, self._person.identity, device, invitation
            )
        await self._begin(canonical(handle), session, is_ours=True)

    async def log_in(self, handle: str, password: Secret, device: str) -> bool:
        """Begin a session; whether others find us by the handle.

        They do if the account is of this person's identity; else it can be looked after from here.
        """
        async with await self._connect() as client:
            session = await client.log_in(handle, password, device)
        name = canonical(handle)
        try:
            await self._begin(name, session, is_ours=True)
        except AccountRefused as error:
            if error.reason != AccountReason.UNSIGNED:
                raise
            await self._keep(
                KeptAccount(name, session.token, session.device, session.expires, False)
            )
            return False
        return True

    async def _begin(self, handle: str, session: Session, *, is_ours: bool) -> None:
        await self._keep(
            KeptAccount(handle, session.token, session.device, session.expires, is_ours)
        )
        await self.publish()
        self._changed.set()

    async def set_password(self, new: Secret, proven_by: Secret | Identity, device: str) -> None:
        """Have a new password, by the old one or the identity; other sessions end."""
        there = await self._there()
        async with await self._connect() as client:
            await client.set_password(there.handle, new, proven_by)
        await self.log_in(there.handle, new, device)

    def identity(self) -> Identity:
        """What proves us where a password is forgotten."""
        return self._person.identity

    async def delete(self, password: Secret) -> None:
        """Have the account forgotten by the relay; nobody can have its handle again."""
        there = await self._there()
        await self._in_session(lambda client: client.delete(there.handle, password))
        await self._keep(None)
        await self._close_box()

    async def log_out(self, device: bytes | None = None) -> None:
        """End the session of a device; None: of this one, by which nobody finds us any more."""
        there = await self._there()
        if device == there.device:
            device = None
        await self._in_session(lambda client: client.log_out(device))
        if device is None:
            await self._gone(there)

    async def log_out_everywhere(self) -> None:
        """End all sessions, this one too."""
        there = await self._there()
        await self._in_session(lambda client: client.log_out_everywhere())
        await self._gone(there)

    async def devices(self) -> list[Device]:
        """Where the account is logged in."""
        return await self._in_session(lambda client: client.devices())

    async def name_device(self, device: bytes, name: str) -> None:
        """Call a device something else."""
        await self._in_session(lambda client: client.name_device(device, name))

    async def set_visibility(self, visibility: Visibility) -> None:
        """Choose who finds us."""
        await self._in_session(lambda client: client.set_visibility(visibility))

    async def export(self) -> str:
        """All that the relay keeps of the account, as a JSON document."""
        return await self._in_session(lambda client: client.export())

    # Being found

    async def publish(self) -> None:
        """Have the relay show how we are reached, and as many keys as others may take."""
        async with self._publishing:
            there = await self._there()
            right = await asyncio.to_thread(self._box)
            await self._reroute()
            await self._open_box()
            async with await self._connect() as client:
                client.resume(_session(there))
                card = self._card(right)
                await replenish(client, self._person, there.handle, card, self._now())

    async def new_box(self) -> None:
        """Draw another box for everybody, and take nothing more from those before it."""
        await self._there()

        def draw() -> None:
            with self._person.working() as work:
                work.standing.rotate(self._now(), at_once=True)

        await asyncio.to_thread(draw)
        await self.publish()

    async def run(self) -> None:
        """Keep up what others find, for ever; what stands in the way is told once."""
        tries, said = 0, ""
        while True:
            self._changed.clear()
            wait_s: float | None = PUBLISH_EVERY_S
            try:
                there = await self.kept()
                if there is None or not (there.token and there.is_ours):
                    wait_s = None
                else:
                    await self.publish()
                tries, said = 0, ""
            except (AccountRefused, RelayChanged, RelayRefused) as error:
                if str(error) != said:
                    said = str(error)
                    kind = AlertKind.RELAY if isinstance(error, RelayChanged) else AlertKind.ACCOUNT
                    self._tell(Alert(kind, None, f"nobody finds you by your handle now: {error}"))
                wait_s = AGAIN_S[-1]
                if isinstance(error, AccountRefused) and error.reason == AccountReason.SESSION_OVER:
                    wait_s = None
            except (RelayUnreachable, RelayMisbehaved):
                wait_s = AGAIN_S[min(tries, len(AGAIN_S) - 1)]
                tries += 1
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _box(self) -> bytes:
        """The right of the box for everybody, which is drawn anew where it is old."""
        now = self._now()
        with self._person.working() as work:
            found = work.standing.current()
            if found is not None and now - found[1] < NEW_BOX_AFTER_S:
                return found[0].right
            return work.standing.rotate(now).right

    async def _open_box(self) -> None:
        """Have the box at the relay before its card is shown there."""

        def boxes() -> list[tuple[bytes, bytes]]:
            with self._person.working() as work:
                found = work.standing.current()
                return [] if found is None else [(found[0].mailbox, found[0].right)]

        async def begin(wire: RelayClient) -> RelayClient:
            await wire.login(self._account)
            return wire

        async with await self._reaching.begun(self._url, begin) as line:
            for mailbox, right in await asyncio.to_thread(boxes):
                await line.open_mailbox(mailbox, right)

    async def _close_box(self) -> None:
        def close() -> None:
            with self._person.working() as work:
                work.standing.give_up()

        await asyncio.to_thread(close)
        await self._reroute()

    # Finding others

    async def search(self, prefix: str) -> list[str]:
        """Listed handles that begin so, at most ten; HandleMalformed."""
        async with self._searching:
            for is_last in (False, True):
                try:
                    if self._finder is None:
                        self._finder = await self._connect()
                    return await self._finder.search(prefix)
                except (RelayUnreachable, RelayMisbehaved):
                    self.close()  # the line may have been idle for long
                    if is_last:
                        raise
        raise AssertionError("unreachable")

    async def look_up(self, handle: str) -> Somebody:
        """Whose a handle is at our relay, to begin a session with.

        Raises:
            IdentityChanged: somebody else's than before; an alarm, and nobody is added.
            BundleRefused, ContentMalformed, HandleMalformed: as `AccountClient.take_bundle`.
        """
        name = canonical(handle)
        known = await asyncio.to_thread(self.handles)
        async with await self._connect() as client:
            try:
                found = await client.take_bundle(name, known.get(name), self._now())
            except IdentityChanged as error:
                self._tell(Alert(AlertKind.IDENTITY, error.known, f"{error}. {error.hint}"))
                raise
        known[name] = found.bundle.identity.fingerprint
        await asyncio.to_thread(self._person.keep, _HANDLES, msgspec.msgpack.encode(known))
        return found

    def close(self) -> None:
        """End the line on which we search; the next search makes another."""
        if self._finder is not None:
            self._finder.close()
            self._finder = None

    # Inside

    async def _connect(self) -> AccountClient:
        """A line to the accounts of our relay; they have the key that the relay is known by."""

        async def begin(wire: RelayClient) -> AccountClient:
            return await AccountClient.over(wire, (await wire.challenge()).relay_id)

        return await self._reaching.begun(self._url, begin)

    async def _in_session(self, ask: Callable[[AccountClient], Awaitable[T]]) -> T:
        there = await self._there()
        async with await self._connect() as client:
            client.resume(_session(there))
            return await ask(client)

    async def _there(self) -> KeptAccount:
        there = await self.kept()
        if there is None:
            raise ChatMisuse(
                "expected a handle at the relay, got none",
                hint="Sign up: bellwire chat account sign-up HANDLE",
            )
        return there

    async def _keep(self, account: KeptAccount | None) -> None:
        value = None if account is None else msgspec.msgpack.encode(account)
        await asyncio.to_thread(self._person.keep, _ACCOUNT, value)

    async def _gone(self, there: KeptAccount) -> None:
        await self._keep(KeptAccount(there.handle, b"", b"", 0, there.is_ours))
        await self._close_box()

    def handles(self) -> dict[str, bytes]:
        """Fingerprint of the identity of each handle that we know; on any thread."""
        return _handles_of(self._person)


def _handles_of(person: Person) -> dict[str, bytes]:
    value = person.kept(_HANDLES)
    return {} if value is None else msgspec.msgpack.decode(value, type=dict[str, bytes])


def expect(person: Person, handle: str, fingerprint: bytes, *, replace: bool) -> None:
    """Let a handle be of this identity alone, whatever a relay says of it later.

    Args:
        person: Who expects it; no messenger has the store open meanwhile.
        handle: In its one form.
        fingerprint: (32,) of the identity.
        replace: Whether another one that was known gives way.

    Raises:
        IdentityChanged: the handle was known to be somebody else's.
    """
    known = _handles_of(person)
    if known.get(handle, fingerprint) != fingerprint and not replace:
        raise IdentityChanged(handle, known[handle], fingerprint)
    known[handle] = fingerprint
    person.keep(_HANDLES, msgspec.msgpack.encode(known))


def relay_account(person: Person) -> Identity:
    """A key for the relay's mailboxes alone, drawn once: the relay must not learn the identity."""
    return Identity(Secret(person.kept_secret("relay account", SEED_BYTES)))


def _session(there: KeptAccount) -> Session:
    if not there.token:
        raise ChatMisuse(
            f"expected to be logged in as @{there.handle}, got a device that logged out",
            hint=f"bellwire chat account log-in {there.handle}",
        )
    return Session(there.token, there.device, there.expires)
