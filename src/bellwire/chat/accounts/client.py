"""A person's side of the accounts at a relay.

The password stays here, and so do all private keys. Whoever looks for somebody uses a client of its
own, without a session, and the relay does not learn who looks for whom.
"""

import asyncio
import time

from bellwire.base.handles import canonical, canonical_prefix
from bellwire.base.secret import Secret
from bellwire.chat.accounts import answers, requests
from bellwire.chat.accounts import password as passwords
from bellwire.chat.accounts.answers import Device, Session, Stock
from bellwire.chat.accounts.asking import Asking
from bellwire.chat.accounts.fields import MAX_AT_ONCE, MAX_DEVICE_CHARS, Visibility
from bellwire.chat.accounts.line import Line
from bellwire.chat.accounts.requests import claim_text, proof_text
from bellwire.chat.accounts.somebody import Somebody, read_taken
from bellwire.chat.card import Card
from bellwire.chat.errors import ChatMisuse
from bellwire.chat.identity import Identity
from bellwire.chat.prekeys import Prekey
from bellwire.chat.relay.client import RelayClient
from bellwire.crypto.labels import CHAT_ACCOUNT, CHAT_HANDLE


class AccountClient(Asking):
    """One sealed line to a relay's accounts; `AccountClient.connect` makes it, `close` ends it.

    After anything but AccountRefused the line is over, and what was asked for may have been done or
    not: connect again, and ask again.

    Attributes:
        relay: Fingerprint of the relay's identity; keep it, and give it the next time.
        session: Of the account that is logged in.
    """

    def __init__(self, wire: RelayClient, line: Line, relay: bytes, relay_id: bytes) -> None:
        super().__init__(wire, line, relay, relay_id)
        self.session: Session | None = None

    def resume(self, session: Session) -> None:
        """Go on with a session that began on another line."""
        self.session = session

    # Names and passwords. Every call raises AccountRefused, RelayUnreachable, RelayMisbehaved.

    async def sign_up(
        self,
        handle: str,
        password: Secret,
        identity: Identity,
        device: str,
        invitation: bytes | None = None,
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
            invitation=invitation,
        )
        self.session = await self.ask(asked, Session)
        return self.session

    async def log_in(self, handle: str, password: Secret, device: str) -> Session:
        """Begin a session of this device; HandleMalformed, ChatMisuse."""
        name = canonical(handle)
        key = await self._password_key(password, name)
        proof = key.sign(proof_text("log in", name, self._line.binding), CHAT_ACCOUNT)
        self.session = await self.ask(requests.LogIn(name, proof, _device_name(device)), Session)
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
        await self.ask(asked, answers.Done)
        self.session = None

    async def delete(self, handle: str, password: Secret) -> None:
        """Have the account forgotten; nobody can have its handle again."""
        name = canonical(handle)
        key = await self._password_key(password, name)
        proof = key.sign(proof_text("delete", name, self._line.binding), CHAT_ACCOUNT)
        await self.ask(requests.Delete(self._token(), proof), answers.Done)
        self.session = None

    # Devices, and what is kept. ChatMisuse if there is no session.

    async def devices(self) -> list[Device]:
        """Where the account is logged in."""
        return (await self.ask(requests.Devices(self._token()), answers.DeviceList)).devices

    async def name_device(self, device: bytes, name: str) -> None:
        """Call a device something else."""
        await self.ask(requests.NameDevice(self._token(), device, _device_name(name)), answers.Done)

    async def log_out(self, device: bytes | None = None) -> None:
        """End the session of one device; None: of this one."""
        await self.ask(requests.LogOut(self._token(), device), answers.Done)
        if device is None:
            self.session = None

    async def log_out_everywhere(self) -> None:
        """End all sessions of the account, this one too."""
        await self.ask(requests.LogOutEverywhere(self._token()), answers.Done)
        self.session = None

    async def set_visibility(self, visibility: Visibility) -> None:
        """Choose who finds the account."""
        await self.ask(requests.SetVisibility(self._token(), visibility), answers.Done)

    async def export(self) -> str:
        """All that the relay keeps of the account, as a JSON document."""
        return (await self.ask(requests.Export(self._token()), answers.Exported)).document

    # The directory.

    async def stock(self) -> Stock:
        """What others can take now, and whether it is of this device."""
        return await self.ask(requests.Publish(self._token()), Stock)

    async def publish_card(
        self, handle: str, card: Card, identity: Identity, lasting: Prekey
    ) -> Stock:
        """Be found: how we are reached by who writes first, and the prekey of the last resort.

        It takes the place of all that another device published.
        """
        name, encoded = canonical(handle), card.encode()
        claim = identity.sign(claim_text(self._relay_id, name, encoded), CHAT_HANDLE)
        asked = requests.Publish(self._token(), lasting.encode(), [], encoded, claim)
        return await self.ask(asked, Stock)

    async def publish_prekeys(self, prekeys: list[Prekey]) -> Stock:
        """Have one-time prekeys handed out, once each; `publish_card` comes before."""
        stock = await self.stock()
        for at in range(0, len(prekeys), MAX_AT_ONCE):
            some = [each.encode() for each in prekeys[at : at + MAX_AT_ONCE]]
            stock = await self.ask(requests.Publish(self._token(), None, some), Stock)
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
        taken = await self.ask(requests.Take(name), answers.Taken)
        at = time.time() if now is None else now
        return read_taken(name, taken, self._relay_id, known, at)

    async def search(self, prefix: str) -> list[str]:
        """Listed handles that begin so, at most ten; HandleMalformed."""
        asked = requests.Search(canonical_prefix(prefix))
        found = (await self.ask(asked, answers.Found)).handles
        # A terminal shows them: what a relay makes up is not taken for a handle.
        return [canonical(each) for each in found]

    # How it is asked.

    async def _password_key(self, password: Secret, handle: str) -> Identity:
        return await asyncio.to_thread(passwords.key_of, password, handle, self._relay_id)

    def _token(self) -> bytes:
        if self.session is None:
            raise ChatMisuse("expected a session, got none: log in first")
        return self.session.token


def _device_name(name: str) -> str:
    if not 1 <= len(name) <= MAX_DEVICE_CHARS or not name.isprintable():
        raise ChatMisuse(
            f"expected a name of a device of 1 to {MAX_DEVICE_CHARS} characters that print, "
            "got another"
        )
    return name
