"""A person's side of the accounts at a relay.

The password stays here, and so do all private keys. Whoever looks for somebody uses a client of its
own, without a session, and the relay does not learn who looks for whom.
"""

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from bellwire.base.secret import Secret
from bellwire.chat.accounts import password as passwords
from bellwire.chat.accounts import requests
from bellwire.chat.accounts.handles import canonical, canonical_prefix
from bellwire.chat.accounts.line import Line, take_offer
from bellwire.chat.accounts.requests import (
    MAX_AT_ONCE,
    MAX_DEVICE_CHARS,
    AccountReason,
    Answer,
    Device,
    Request,
    Session,
    Stock,
    Visibility,
    claim_text,
    proof_text,
)
from bellwire.chat.card import Card, make_link, read_card
from bellwire.chat.errors import (
    AccountRefused,
    ChatMisuse,
    IdentityChanged,
    RelayChanged,
    RelayMisbehaved,
)
from bellwire.chat.identity import Identity, IdentityPublic
from bellwire.chat.prekeys import Bundle, Prekey, join_bundle, read_bundle
from bellwire.chat.relay.client import RelayClient
from bellwire.crypto.labels import CHAT_ACCOUNT, CHAT_HANDLE

_A = TypeVar("_A", bound=Answer)


@dataclass(frozen=True, slots=True)
class Somebody:
    """Whom a relay says that a handle is; the identity says the same.

    Attributes:
        handle: Their name at this relay.
        bundle: To begin a session with; verified, and without a one-time prekey if it is the last
            resort.
        card: Where a first message is dropped.
    """

    handle: str
    bundle: Bundle
    card: Card

    @property
    def is_last_resort(self) -> bool:
        """Whether the session is open to who steals the lasting prekey before it is destroyed."""
        return self.bundle.one_time is None

    def link(self) -> str:
        """The contact link that says the same, for `Messenger.add`."""
        return make_link(self.bundle, self.card)


class AccountClient:
    """One sealed line to a relay's accounts; `AccountClient.connect` makes it, `close` ends it.

    After anything but AccountRefused the line is over, and what was asked for may have been done or
    not: connect again, and ask again.

    Attributes:
        relay: Fingerprint of the relay's identity; keep it, and give it the next time.
        session: Of the account that is logged in.
    """

    def __init__(self, wire: RelayClient, line: Line, relay: bytes, relay_id: bytes) -> None:
        self.relay = relay
        self.session: Session | None = None
        self._wire, self._line, self._relay_id = wire, line, relay_id
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, url: str, known: bytes | None = None) -> Self:
        """Connect to the accounts of the relay at `ws://HOST:PORT` or `wss://…`.

        Args:
            url: Where the relay is.
            known: Fingerprint of its identity, from its operator or from the first time; None takes
                whoever answers.

        Raises:
            RelayUnreachable: nothing answers there.
            RelayMisbehaved: what answers is no relay.
            RelayChanged: it is another relay, or somebody in between.
            RelayRefused: the relay keeps no accounts.
        """
        wire = await RelayClient.connect(url)
        try:
            return await cls._begin(wire, known)
        except BaseException:
            wire.close()
            raise

    @classmethod
    async def _begin(cls, wire: RelayClient, known: bytes | None) -> Self:
        challenge = await wire.challenge()
        offer = await wire.ask_accounts(b"")
        hello, line, relay = take_offer(offer, challenge.nonce, challenge.relay_id)
        if known is not None and relay.fingerprint != known:
            raise RelayChanged(
                f"expected the relay {known.hex()[:16]}…, got {relay.fingerprint.hex()[:16]}…",
                hint="Ask its operator. Until it is clear, say nothing to it.",
            )
        if line.inward.open(await wire.ask_accounts(hello)):
            raise RelayMisbehaved("expected an empty record first, got another")
        return cls(wire, line, relay.fingerprint, challenge.relay_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the line; again is harmless. The session stays."""
        self._wire.close()

    def resume(self, session: Session) -> None:
        """Go on with a session that began on another line."""
        self.session = session

    # Names and passwords. Every call raises AccountRefused, RelayUnreachable, RelayMisbehaved.

    async def sign_up(
        self, handle: str, password: Secret, identity: Identity, device: str
    ) -> Session:
        """Have a handle, and a session; the same again, after no answer came, is harmless.

        Raises:
            HandleMalformed: it is no handle.
            ChatMisuse: the password is too short or too long.
        """
        name = canonical(handle)
        passwords.check_new(password)
        key = await self._password_key(password, name)
        verifier = key.public.public_bytes
        text = proof_text("sign up", name, self._line.binding, verifier)
        asked = requests.SignUp(
            handle=name,
            identity=identity.public.public_bytes,
            verifier=verifier,
            identity_proof=identity.sign(text, CHAT_ACCOUNT),
            password_proof=key.sign(text, CHAT_ACCOUNT),
            device=_device_name(device),
        )
        self.session = await self._ask(asked, Session)
        return self.session

    async def log_in(self, handle: str, password: Secret, device: str) -> Session:
        """Begin a session of this device; HandleMalformed, ChatMisuse."""
        name = canonical(handle)
        key = await self._password_key(password, name)
        proof = key.sign(proof_text("log in", name, self._line.binding), CHAT_ACCOUNT)
        self.session = await self._ask(requests.LogIn(name, proof, _device_name(device)), Session)
        return self.session

    async def set_password(self, handle: str, new: Secret, proven_by: Secret | Identity) -> None:
        """Have a new password, by the old one or by the identity; all sessions end.

        Raises:
            HandleMalformed, ChatMisuse: as `sign_up`.
        """
        name = canonical(handle)
        passwords.check_new(new)
        key = await self._password_key(new, name)
        by_identity = isinstance(proven_by, Identity)
        prover = (
            proven_by
            if isinstance(proven_by, Identity)
            else await self._password_key(proven_by, name)
        )
        verifier = key.public.public_bytes
        text = proof_text("set password", name, self._line.binding, verifier)
        asked = requests.SetPassword(
            handle=name,
            verifier=verifier,
            password_proof=key.sign(text, CHAT_ACCOUNT),
            by_identity=by_identity,
            proof=prover.sign(text, CHAT_ACCOUNT),
        )
        await self._ask(asked, requests.Done)
        self.session = None

    async def delete(self, handle: str, password: Secret) -> None:
        """Have the account forgotten; nobody can have its handle again."""
        name = canonical(handle)
        key = await self._password_key(password, name)
        proof = key.sign(proof_text("delete", name, self._line.binding), CHAT_ACCOUNT)
        await self._ask(requests.Delete(self._token(), proof), requests.Done)
        self.session = None

    # Devices, and what is kept. ChatMisuse if there is no session.

    async def devices(self) -> list[Device]:
        """Where the account is logged in."""
        return (await self._ask(requests.Devices(self._token()), requests.DeviceList)).devices

    async def name_device(self, device: bytes, name: str) -> None:
        """Call a device something else."""
        await self._ask(
            requests.NameDevice(self._token(), device, _device_name(name)), requests.Done
        )

    async def log_out(self, device: bytes | None = None) -> None:
        """End the session of one device; None: of this one."""
        await self._ask(requests.LogOut(self._token(), device), requests.Done)
        if device is None:
            self.session = None

    async def log_out_everywhere(self) -> None:
        """End all sessions of the account, this one too."""
        await self._ask(requests.LogOutEverywhere(self._token()), requests.Done)
        self.session = None

    async def set_visibility(self, visibility: Visibility) -> None:
        """Choose who finds the account."""
        await self._ask(requests.SetVisibility(self._token(), visibility), requests.Done)

    async def export(self) -> str:
        """All that the relay keeps of the account, as a JSON document."""
        return (await self._ask(requests.Export(self._token()), requests.Exported)).document

    # The directory.

    async def stock(self) -> Stock:
        """What others can take now, and whether it is of this device."""
        return await self._ask(requests.Publish(self._token()), Stock)

    async def publish_card(
        self, handle: str, card: Card, identity: Identity, lasting: Prekey
    ) -> Stock:
        """Be found: how we are reached by who writes first, and the prekey of the last resort.

        It takes the place of all that another device published.
        """
        name, encoded = canonical(handle), card.encode()
        claim = identity.sign(claim_text(self._relay_id, name, encoded), CHAT_HANDLE)
        asked = requests.Publish(self._token(), lasting.encode(), [], encoded, claim)
        return await self._ask(asked, Stock)

    async def publish_prekeys(self, prekeys: list[Prekey]) -> Stock:
        """Have one-time prekeys handed out, once each; `publish_card` comes before."""
        stock = await self.stock()
        for at in range(0, len(prekeys), MAX_AT_ONCE):
            some = [each.encode() for each in prekeys[at : at + MAX_AT_ONCE]]
            stock = await self._ask(requests.Publish(self._token(), None, some), Stock)
        return stock

    async def take_bundle(
        self, handle: str, known: bytes | None = None, now: float | None = None
    ) -> Somebody:
        """The keys of whoever has a handle, to begin a session with.

        The relay could name an identity of its own: compare safety numbers.

        Args:
            handle: Whose.
            known: Fingerprint of their identity, if we know it.
            now: Seconds since the epoch; None: by the system's clock.

        Raises:
            IdentityChanged: it is another identity than `known`.
            BundleRefused: the keys are not signed by it, or have expired.
            ContentMalformed: what it says of how it is reached is no card.
        """
        name = canonical(handle)
        taken = await self._ask(requests.Take(name), requests.Taken)
        identity = IdentityPublic(taken.identity)
        if known is not None and identity.fingerprint != known:
            raise IdentityChanged(name, known, identity.fingerprint)
        identity.verify(taken.claim, claim_text(self._relay_id, name, taken.card), CHAT_HANDLE)
        encoded = join_bundle(identity, taken.lasting, taken.one_time)
        at = time.time() if now is None else now
        bundle = read_bundle(encoded, identity.fingerprint, at)
        return Somebody(name, bundle, read_card(taken.card))

    async def search(self, prefix: str) -> list[str]:
        """Listed handles that begin so, at most ten; HandleMalformed."""
        asked = requests.Search(canonical_prefix(prefix))
        found = (await self._ask(asked, requests.Found)).handles
        # A terminal shows them: what a relay makes up is not taken for a handle.
        return [canonical(each) for each in found]

    # How it is asked.

    async def _password_key(self, password: Secret, handle: str) -> Identity:
        return await asyncio.to_thread(passwords.key_of, password, handle, self._relay_id)

    def _token(self) -> bytes:
        if self.session is None:
            raise ChatMisuse("expected a session, got none: log in first")
        return self.session.token

    async def _ask(self, request: Request, expected: type[_A]) -> _A:
        async with self._turn:
            try:
                answer = await self._exchange(request)
                if isinstance(answer, expected):
                    return answer
            except BaseException:
                self.close()  # its records are counted: after one that is missing, none opens
                raise
        if isinstance(answer, requests.Refusal):
            raise _refusal(answer.reason)
        self.close()
        raise RelayMisbehaved(f"expected {expected.__name__}, got {type(answer).__name__}")

    async def _exchange(self, request: Request) -> Answer:
        record = self._line.outward.seal(requests.encode(request))
        return requests.read_answer(self._line.inward.open(await self._wire.ask_accounts(record)))


_WORDS: Final = {
    AccountReason.WRONG: ("the handle or the password is wrong", None),
    AccountReason.TAKEN: (
        "the handle, or one that looks like it, is or was somebody's",
        "Choose another.",
    ),
    AccountReason.TOO_FAST: ("too many requests at once", "Try again in a few minutes."),
    AccountReason.NOBODY: ("nobody of that handle can be found", None),
    AccountReason.FULL: ("there is no room for more", None),
    AccountReason.FAILED: ("their store failed, nothing was done", "Try again."),
    AccountReason.UNSIGNED: ("a signature does not hold", None),
    AccountReason.SESSION_OVER: ("the session has ended", "Log in again."),
    AccountReason.EXPIRED: (
        "a prekey has expired, or expires too late",
        "Compare this machine's clock with the relay's.",
    ),
    AccountReason.NO_DEVICE: ("the account has no such device", None),
    AccountReason.MALFORMED: ("a name or a value is not permitted", None),
}


def _refusal(reason: AccountReason) -> AccountRefused:
    why, hint = _WORDS[reason]
    return AccountRefused(reason, why, hint=hint)


def _device_name(name: str) -> str:
    if not 1 <= len(name) <= MAX_DEVICE_CHARS or not name.isprintable():
        raise ChatMisuse(
            f"expected a name of a device of 1 to {MAX_DEVICE_CHARS} characters that print, "
            "got another"
        )
    return name
