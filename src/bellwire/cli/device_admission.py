"""`bellwire device enroll --at`: register a device, and get all with which it talks to its cloud.

One command: keys are made here, and proven; the server gives a certificate for the device's key,
short-lived, and says which cloud there is, by a certificate of the same authority. Where a log is
named, the cloud's key is the one that the record shows, or nothing is pinned.

It is apart from `device`, as the program of a device alone has neither the server's client nor a
reader of logs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bellwire.base.errors import RefusedError, UsageError
from bellwire.cli import output
from bellwire.cli.protection import protection_of

if TYPE_CHECKING:
    from bellwire.admission.client import AdmissionClient, CloudTold, ForChannel, Registered
    from bellwire.iot.admitted import Admitted
    from bellwire.iot.cloud_certificate import CloudCertificate
    from bellwire.iot.identity import PublicIdentity
    from bellwire.node.settings import Settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says.

    Attributes:
        admitted: Where and by which name; or as it was said the last time.
        token: File of an enrolment token.
        replace: Whether this cloud and authority take the place of others.
        key_protection: What wraps the device's key.
    """

    admitted: "Admitted"
    token: Path | None
    replace: bool
    key_protection: str | None


def enroll(settings: "Settings", wanted: Wanted, *, json: bool) -> None:
    """Register the device of a state folder, pin its cloud, and say so.

    Raises:
        AdmissionAbsent, AdmissionRefused: the server does not admit it, or tells of no cloud.
        CertificateRefused: what it gives does not hold.
        RefusedError: the cloud's key is not the one in the record.
        IdentityError: another cloud or another authority is trusted here.
    """
    import asyncio

    from bellwire.cli.newcomer import (
        Newcomer,
        own_registered,
        read_token,
        tell_of_name,
        with_channel_key,
        write_given,
    )
    from bellwire.iot import admitted

    said, folder = wanted.admitted, settings.state.dir / "device"
    secret = None if wanted.token is None else read_token(wanted.token)
    out = own_registered(settings, said.name)
    tell_of_name(said.name, out)
    keys = with_channel_key(out, settings, "device", wanted.key_protection)
    newcomer = Newcomer(said.name, keys, out)
    found = asyncio.run(newcomer.register(_client(said), secret))
    if found.certificate is not None:
        write_given(out, found.certificate)
    if found.status != "admitted":
        # Nothing is pinned yet; what was said is kept, so that the command alone goes on with it.
        admitted.keep(folder, said)
        _tell_waiting(found, json=json)
        return
    if admitted.load(folder) is None:
        admitted.keep(folder, said)
    given, cloud = _required(found)
    revoked = asyncio.run(_revoked(_client(said)))
    files = _Files.written(out, given, cloud, revoked)
    number = _pin(settings, wanted, files, cloud)
    address = said.cloud or cloud.address
    admitted.keep(folder, _with_cloud(said, address))
    _tell(found, given, files, address, number, json=json)


def _client(said: "Admitted") -> "AdmissionClient":
    from bellwire.admission.client import AdmissionClient

    authorities = None if said.authorities is None else Path(said.authorities)
    return AdmissionClient.to(said.at, said.server, authorities)


async def _revoked(client: "AdmissionClient") -> bytes:
    async with client:
        return await client.revoked()


def _required(found: "Registered") -> "tuple[ForChannel, CloudTold]":
    """What a device cannot do without."""
    from bellwire.admission.errors import AdmissionRefused

    if found.channel is None:
        raise AdmissionRefused(
            "expected a certificate of the channel, got none",
            hint="The server gives them where it runs with --cloud NAME.",
        )
    if found.channel.cloud is None:
        raise AdmissionRefused(
            "expected a cloud that is admitted, got none yet",
            hint="The cloud registers by the name of --cloud there: bellwire register NAME "
            "--cloud. Then run this again.",
        )
    return found.channel, found.channel.cloud


@dataclass(frozen=True, slots=True)
class _Files:
    """What the server gave, as files beside the keys that are proven."""

    vouched: "CloudCertificate"
    certificate: Path

    @classmethod
    def written(
        cls, folder: Path, given: "ForChannel", cloud: "CloudTold", revoked: bytes
    ) -> "_Files":
        from bellwire.base.private import write_whole
        from bellwire.iot.cloud_certificate import CloudCertificate

        contents = {
            "channel.authority": given.authority,
            "channel.revoked": revoked,
            "cloud.cert": cloud.certificate,
            "device.cert": given.certificate,
        }
        for name, content in contents.items():
            write_whole(folder / name, content, 0o644, replace=True)
        return cls(
            CloudCertificate(
                folder / "cloud.cert", folder / "channel.authority", folder / "channel.revoked"
            ),
            folder / "device.cert",
        )


def _pin(settings: "Settings", wanted: Wanted, files: _Files, told: "CloudTold") -> int | None:
    """Check everything, then pin the cloud; the number of its entry in the record, if one is."""
    import time

    from bellwire.iot import enrolment

    folder = settings.state.dir / "device"
    key = enrolment.own_key(folder, protection_of(settings, wanted.key_protection, folder))
    if not wanted.replace:
        enrolment.require_authority(folder, files.vouched.authority)
    cloud = files.vouched.cloud()
    number = _recorded(settings, wanted, cloud, told.username)
    enrolment.enroll(
        folder,
        key,
        cloud,
        name=wanted.admitted.name,
        allow=None,
        replace=wanted.replace,
        vouched=files.vouched,
    )
    authority = files.vouched.authority
    enrolment.keep_certificate(folder, key, files.certificate, authority, now=time.time())
    return number


def _recorded(
    settings: "Settings", wanted: Wanted, cloud: "PublicIdentity", username: str
) -> int | None:
    """The number of the entry that has the cloud's key; None: no log was named."""
    from bellwire.base.handles import canonical
    from bellwire.cli.log.trust import trusted
    from bellwire.cli.record import LogPlace, channel_of, look

    said = wanted.admitted
    if said.log is None or said.log_policy is None:
        return None
    ca = None if said.log_authorities is None else Path(said.log_authorities)
    place = LogPlace(said.log, trusted(None, None, None, Path(said.log_policy)), ca)
    looked = look(place, settings.state.dir, canonical(username), accept=wanted.replace)
    recorded = channel_of(looked.known)
    if recorded is None or recorded.public != cloud.public:
        raise RefusedError(
            f"expected the key that the record has of {username}, got another from the server",
            hint="Nothing is pinned. One of the two is wrong: ask the cloud's operator.",
        )
    looked.keep()
    return looked.known.number


def _with_cloud(said: "Admitted", address: str | None) -> "Admitted":
    from msgspec.structs import replace

    from bellwire.cli.destinations import parse_destination

    if address is not None and not address.startswith(("mqtt://", "mqtts://")):
        try:
            parse_destination(address)
        except UsageError as error:
            raise RefusedError(
                f"expected the address of a cloud of the server, got: {error}"
            ) from error
    return replace(said, cloud=address)


def _tell_waiting(found: "Registered", *, json: bool) -> None:
    if json:
        output.emit({"username": found.username, "status": found.status})
        return
    screen = output.stdout()
    screen.print(f"{found.username} is {found.status}")
    screen.print(
        f"An operator decides: `bellwire admission admit {found.username}` at the server. Then: "
        "bellwire device enroll",
        soft_wrap=True,
    )


def _tell(
    found: "Registered",
    given: "ForChannel",
    files: _Files,
    address: str | None,
    number: int | None,
    *,
    json: bool,
) -> None:
    from time import gmtime, strftime

    cloud = files.vouched.cloud()
    if json:
        output.emit(
            {
                "username": found.username,
                "status": found.status,
                "cloud": cloud.fingerprint.hex(),
                "address": address,
                "not_after": given.not_after,
                "recorded": number,
                "certificate": files.certificate,
            }
        )
        return
    screen = output.stdout()

    def say(text: str) -> None:
        screen.print(text, highlight=False, soft_wrap=True)

    until = strftime("%Y-%m-%d %H:%M", gmtime(given.not_after))
    say(f"{found.username} is {found.status}; its certificate holds until {until} UTC.")
    say(f"It trusts the cloud {cloud.name!r}, {cloud.fingerprint.hex()},")
    if number is None:
        say("as the server says: name --log and --log-policy to compare that with the record.")
    else:
        say(f"which entry {number:,} of the record has, too.")
    where = "" if address is None else f" to {address}"
    say(f"`bellwire device send` sends{where}. Run `bellwire device enroll` again to renew.")
