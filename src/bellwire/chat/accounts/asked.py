"""What each request does: who may have a name, who is logged in, what is kept of them.

What fails gives the same answer, after the same work, whether the handle is unknown or the password
wrong.

Source: spec/accounts.md, 4.
"""

import hashlib
import json
import secrets
from typing import Final

from bellwire.base.handles import is_canonical
from bellwire.chat.accounts import answers, requests
from bellwire.chat.accounts.admission import Admission
from bellwire.chat.accounts.answers import Answer
from bellwire.chat.accounts.directory import Directory
from bellwire.chat.accounts.fields import TOKEN_BYTES, AccountReason, Visibility
from bellwire.chat.accounts.ledger import Account, Ledger, Seat
from bellwire.chat.accounts.requests import Request, proof_text
from bellwire.chat.accounts.rules import NotDone, Rules
from bellwire.chat.errors import BundleRefused
from bellwire.chat.identity import IdentityPublic
from bellwire.crypto.labels import CHAT_ACCOUNT

USED_EVERY_S: Final = 3600


class Asked:
    """One request, within one transaction.

    Args:
        rules: To heed.
        source: What the address that asks is counted under.
        binding: Of the line that it came over.
        ledger: To read and write.
        admission: Decides on new handles.
    """

    def __init__(
        self, rules: Rules, source: str, binding: bytes, ledger: Ledger, admission: Admission
    ) -> None:
        self._admission = admission
        self._rules, self._limits = rules, rules.limits
        self._source, self._binding, self._ledger = source, binding, ledger
        self._now = int(rules.now())
        self._directory = Directory(rules, source, ledger)

    def do(self, request: Request) -> Answer:
        """Do it; NotDone."""
        match request:
            case requests.Take(handle):
                return self._directory.take(handle)
            case requests.Search(prefix):
                return self._directory.search(prefix)
            case requests.SignUp():
                return self._sign_up(request)
            case requests.LogIn():
                return self._log_in(request)
            case requests.SetPassword():
                return self._set_password(request)
            case _:
                return self._do_in_session(self._seat(request.token), request)

    def _do_in_session(self, seat: Seat, request: requests.InSession) -> Answer:
        match request:
            case requests.Devices():
                return self._devices(seat)
            case requests.Publish():
                return self._directory.publish(seat, request)
            case requests.Export():
                return answers.Exported(self._export(seat))
            case requests.LogOut(_, device):
                self._ledger.leave([self._other(seat, device or seat.device)])
            case requests.LogOutEverywhere():
                self._ledger.leave(self._ledger.seats(seat.handle))
            case requests.NameDevice(_, device, name):
                _check_name(name)
                self._ledger.name_seat(self._other(seat, device).token_hash, name)
            case requests.SetVisibility(_, visibility):
                self._ledger.set_visibility(seat.handle, visibility)
            case requests.Delete(_, proof):
                self._prove(seat.handle, proof, proof_text("delete", seat.handle, self._binding))
                self._ledger.delete(seat.handle)
        return answers.Done()

    # Who asks.

    def _seat(self, token: bytes) -> Seat:
        """The session that a token is of, used now."""
        seat = self._ledger.seat(hashlib.sha256(token).digest())
        if seat is None or self._now >= seat.expires:
            raise NotDone(AccountReason.SESSION_OVER)
        if self._now - seat.used >= USED_EVERY_S:
            self._ledger.used(seat.token_hash, self._now, self._expires(seat.since))
        return seat

    def _expires(self, since: int) -> int:
        return min(self._now + self._limits.idle_s, since + self._limits.session_s)

    def _other(self, seat: Seat, device: bytes) -> Seat:
        """A session of the same account."""
        for each in self._ledger.seats(seat.handle):
            if each.device == device:
                return each
        raise NotDone(AccountReason.NO_DEVICE)

    def _prove(self, handle: str, proof: bytes, text: bytes, *, by_identity: bool = False) -> None:
        """Return only if the account's password, or its identity, signed the text.

        Takes as long for a handle that nobody has.
        """
        self._rules.admit("log_ins", f"{self._source} {handle}")
        self._rules.admit("account_log_ins", handle)
        signer = IdentityPublic(self._ledger.signer(handle, by_identity=by_identity))
        try:
            signer.verify(proof, text, CHAT_ACCOUNT)
        except BundleRefused:
            raise NotDone(AccountReason.WRONG) from None

    # Names and passwords.

    def _sign_up(self, asked: requests.SignUp) -> Answer:
        if not is_canonical(asked.handle):
            raise NotDone(AccountReason.MALFORMED)
        _check_name(asked.device)
        self._rules.admit("sign_ups", self._source)
        identity, verifier = IdentityPublic(asked.identity), IdentityPublic(asked.verifier)
        text = proof_text("sign up", asked.handle, self._binding, asked.verifier)
        try:
            identity.verify(asked.identity_proof, text, CHAT_ACCOUNT)
            verifier.verify(asked.password_proof, text, CHAT_ACCOUNT)
        except BundleRefused:
            raise NotDone(AccountReason.UNSIGNED) from None
        there = self._ledger.find(asked.handle)
        if there is not None and (there.identity, there.verifier) == (
            asked.identity,
            asked.verifier,
        ):
            # Who did not hear that it was done signs up again.
            return self._sit(asked.handle, asked.device)
        self._admission.admit(asked.invitation, self._ledger)
        if self._ledger.count() >= self._limits.accounts:
            raise NotDone(AccountReason.FULL)
        account = Account(
            handle=asked.handle,
            identity=asked.identity,
            verifier=asked.verifier,
            since=self._now,
            visibility=Visibility.EXACT,
            publisher=None,
            lasting=None,
            lasting_until=0,
            card=None,
            claim=None,
        )
        if not self._ledger.add(account):
            raise NotDone(AccountReason.TAKEN)
        return self._sit(asked.handle, asked.device)

    def _log_in(self, asked: requests.LogIn) -> Answer:
        _check_name(asked.device)
        text = proof_text("log in", asked.handle, self._binding)
        self._prove(asked.handle, asked.proof, text)
        return self._sit(asked.handle, asked.device)

    def _sit(self, handle: str, name: str) -> answers.Session:
        seats = sorted(self._ledger.seats(handle), key=lambda seat: seat.used)
        self._ledger.leave(seats[: max(0, len(seats) + 1 - self._limits.devices)])
        token = secrets.token_bytes(TOKEN_BYTES)
        expires = self._expires(self._now)
        device = self._ledger.sit(hashlib.sha256(token).digest(), handle, name, self._now, expires)
        return answers.Session(token, device, expires)

    def _set_password(self, asked: requests.SetPassword) -> Answer:
        text = proof_text("set password", asked.handle, self._binding, asked.verifier)
        self._prove(asked.handle, asked.proof, text, by_identity=asked.by_identity)
        try:
            IdentityPublic(asked.verifier).verify(asked.password_proof, text, CHAT_ACCOUNT)
        except BundleRefused:
            raise NotDone(AccountReason.UNSIGNED) from None
        self._ledger.set_verifier(asked.handle, asked.verifier)
        self._ledger.leave(self._ledger.seats(asked.handle))
        return answers.Done()

    # What is kept.

    def _devices(self, seat: Seat) -> Answer:
        publisher = self._ledger.account_of(seat).publisher
        return answers.DeviceList(
            [
                answers.Device(
                    each.device,
                    each.name,
                    each.since,
                    each.used,
                    each.expires,
                    is_this=each.device == seat.device,
                    publishes=each.device == publisher,
                )
                for each in self._ledger.seats(seat.handle)
            ]
        )

    def _export(self, seat: Seat) -> str:
        account = self._ledger.account_of(seat)
        hexadecimal = {
            name: None if value is None else value.hex()
            for name, value in (
                ("identity", account.identity),
                ("password_key", account.verifier),
                ("lasting_prekey", account.lasting),
                ("card", account.card),
                ("claim", account.claim),
                ("publishing_device", account.publisher),
            )
        }
        devices = [
            {
                "device": each.device.hex(),
                "name": each.name,
                "since": each.since,
                "used": each.used,
                "expires": each.expires,
                "token_sha256": each.token_hash.hex(),
            }
            for each in self._ledger.seats(seat.handle)
        ]
        one_time = [
            {"prekey": prekey_id.hex(), "expires": not_after}
            for prekey_id, not_after in self._ledger.one_time(seat.handle, self._now)
        ]
        document = {
            "handle": account.handle,
            "since": account.since,
            "visibility": Visibility(account.visibility).name.lower(),
            **hexadecimal,
            "devices": devices,
            "one_time_prekeys": one_time,
        }
        return json.dumps(document, indent=1)


def _check_name(name: str) -> None:
    if not name.isprintable():
        raise NotDone(AccountReason.MALFORMED)
