"""What services need before their first start: first contact, authorities, SAEs, operators, keys.

Everything that is there already is left as it is; a crash at any point is made good by the next
start.
"""

import os
import time
from pathlib import Path

from bellwire.base.private import own_folder, write_whole
from bellwire.console.accounts import OPERATOR, AccountBook, Role, console_folder
from bellwire.console.site_keys import console_sae, pages_sae
from bellwire.crypto.signatures import fingerprint
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.profile import Profile, profile_folder, read_profile, write_profile
from bellwire.node.assemble import SITES, node_folder
from bellwire.node.fence import waits_for_key
from bellwire.node.first_contact import new_authentication_key
from bellwire.node.identity import load_or_create_identity
from bellwire.node.settings import Settings
from bellwire.pki.authority import SAE_DAYS, Authority, authority_folder
from bellwire.pki.files import sae_files, write_again, write_new
from bellwire.services.place import Place
from bellwire.services.program import Known, reached, said
from bellwire.services.record import prepare_record

RENEW_BEFORE_S = 30 * 86_400


def sae_of(site: str) -> str:
    """The SAE that `up` makes at a site, and the name of its profile."""
    return f"app-{site}"


def prepare(settings: Settings, place: Place) -> dict[str, str]:
    """Make what is missing before any service starts.

    Returns:
        Fingerprint of each site's node where first contact is signed, else nothing.

    Raises:
        BellwireError: something cannot be made.
    """
    own_folder(place.state / "saes")
    for site in SITES:
        _certify(place, site, sae_of(site))
        _certify(place, site, console_sae(site))
        _certify(place, site, pages_sae(site))
        _make_operator(place, site)
    prepare_record(settings, place)
    if settings.first_contact.method == "signed":
        return {
            site: fingerprint(
                load_or_create_identity(node_folder(place.state, site)).public_bytes
            ).hex()
            for site in SITES
        }
    if all(_lacks_key(node_folder(place.state, site)) for site in SITES):
        _place_keys(place)
    return {}


def _lacks_key(folder: Path) -> bool:
    """Whether a node needs its first authentication key, or, after a fence, another."""
    return waits_for_key(folder) or not (folder / "keys.sqlite").exists()


def write_profiles(place: Place, known: Known) -> list[Path]:
    """A profile for `bellwire keys` at each site whose KME is known; those that were written."""
    written = []
    for site, other in zip("ab", "ba", strict=True):
        url = said(known, f"node-{site}", "kme")
        if not url:
            continue
        files = sae_files(place.state / "saes" / sae_of(site), sae_of(site))
        credentials = Credentials(files.certificate, files.key, files.authorities)
        profile = Profile(reached(url), sae_of(site), credentials, sae_of(other))
        path = profile_folder(place.state) / f"{sae_of(site)}.toml"
        if not path.exists() or read_profile(place.state, sae_of(site)) != profile:
            written.append(write_profile(place.state, sae_of(site), profile))
    return written


def _place_keys(place: Place) -> None:
    """One new pre-placed key, in a file for each site."""
    draft = place.folder / "authentication.key"
    draft.unlink(missing_ok=True)
    new_authentication_key(draft)
    try:
        content = draft.read_bytes()
        for site in SITES:
            write_whole(place.authentication_key(site), content, replace=True)
    finally:
        draft.unlink()


def _certify(place: Place, site: str, name: str) -> None:
    """A certificate for an SAE of the site, unless it has a good one, or was revoked."""
    authority = Authority(authority_folder(place.state, site), site)
    authority.create()
    files = sae_files(place.state / "saes" / name, name)
    mine = [
        each
        for each in authority.certificates()
        if each.issued.kind == "sae" and each.issued.name == name
    ]
    if not mine:
        write_new(authority, name, files.key.parent, days=SAE_DAYS)
        return
    if mine[-1].revoked_at is not None:
        return  # The operator's word stands.
    whole = all(map(os.path.exists, (files.certificate, files.key, files.authorities)))
    if not whole or mine[-1].ends < time.time() + RENEW_BEFORE_S:
        write_again(authority, name, files.key.parent, days=SAE_DAYS, revoke_old=False)


def _make_operator(place: Place, site: str) -> None:
    """An operator's account at a site without accounts, and its token for whoever runs `up`."""
    folder = console_folder(place.state, site)
    book = AccountBook(folder)
    if book.all():
        return
    # Its old token would be worth nothing: there is no account.
    own_folder(folder)
    token = book.add(OPERATOR, Role.OPERATOR)
    write_whole(folder / "operator.token", f"{token}\n".encode(), replace=True)
