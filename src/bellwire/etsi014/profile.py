"""Profiles: which key server to ask, as whom, and about whom, in a small file each.

A profile is `STATE/profiles/NAME.toml`, with the files of `Credentials` by name and no secret of
its own. Paths in it are absolute, or below the folder of profiles.
"""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.private import own_folder, write_whole
from bellwire.etsi014.client import check_url
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.errors import ProfileUnusable, RequestUnusable
from bellwire.etsi014.exchange import check_sae

MAX_FILE = 1 << 16

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NEEDED = frozenset({"kme", "sae", "certificate", "key", "ca"})
_KNOWN = _NEEDED | {"peer"}


@dataclass(frozen=True, slots=True)
class Profile:
    """Whom to ask, and as whom.

    Attributes:
        kme: Address of the key server.
        sae: Our own id, as our certificate has it.
        credentials: Who we are to the server, and whom we believe.
        peer: The SAE that we share keys with, where nobody says otherwise.
    """

    kme: str
    sae: str
    credentials: Credentials
    peer: str | None = None


def profile_folder(state: Path) -> Path:
    """Where profiles lie."""
    return state / "profiles"


def write_profile(state: Path, name: str, profile: Profile) -> Path:
    """Write a profile, in the place of an earlier one of its name.

    Raises:
        ProfileUnusable: the name, or a value, is none.
        PathUnusable, PathExposed: the folder cannot be used.
    """
    path = check_profile(state, name, profile)
    values = {
        "kme": profile.kme,
        "sae": profile.sae,
        "peer": profile.peer,
        "certificate": str(profile.credentials.certificate.absolute()),
        "key": str(profile.credentials.key.absolute()),
        "ca": str(profile.credentials.authority.absolute()),
    }
    lines = [f"{name} = {_quoted(value)}\n" for name, value in values.items() if value is not None]
    own_folder(path.parent)
    write_whole(path, "".join(lines).encode(), replace=True)
    return path


def check_profile(state: Path, name: str, profile: Profile) -> Path:
    """Where `write_profile` would write it.

    Raises:
        ProfileUnusable: the name, or a value, is none.
    """
    path = _path(state, name)
    _check(path, profile)
    return path


def find_profile(state: Path, peer: str | None) -> Profile:
    """The only profile that there is, or, of several, the only one whose other SAE is `peer`.

    Raises:
        ProfileUnusable: there is none, there are several that fit, or one is no profile.
    """
    names = profile_names(state)
    if len(names) > 1 and peer is not None:
        names = [each for each in names if read_profile(state, each).peer == peer] or names
    if len(names) != 1:
        raise ProfileUnusable(
            f"expected one profile in {profile_folder(state)}, got "
            + (f"{len(names)}: {', '.join(names)}" if names else "none"),
            hint="Choose with --profile NAME, or by its other SAE with --sae; or say whom to ask: "
            "--kme --cert --key --ca --sae.",
        )
    return read_profile(state, names[0])


def read_profile(state: Path, name: str) -> Profile:
    """The profile of a name.

    Raises:
        ProfileUnusable: there is none of that name, or it is no profile.
    """
    path = _path(state, name)
    try:
        with path.open("rb") as file:
            values = tomllib.loads(file.read(MAX_FILE).decode())
    except FileNotFoundError as error:
        raise ProfileUnusable(
            f"expected a profile at {path}, got no file",
            hint=f"There are: {', '.join(profile_names(state))}."
            if profile_names(state)
            else "There is none yet: `bellwire up` makes those of both sites of this machine.",
        ) from error
    except (OSError, ValueError, RecursionError) as error:  # tomllib: too many digits, too deep
        raise ProfileUnusable(f"expected a profile in TOML in {path}, got something else") from (
            error
        )
    unknown = sorted(set(values) - _KNOWN)
    missing = sorted(_NEEDED - set(values))
    if unknown or missing or not all(isinstance(each, str) for each in values.values()):
        raise ProfileUnusable(
            f"expected texts named kme, sae, certificate, key and ca, and maybe peer, in {path}; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    files = (path.parent / values[each] for each in ("certificate", "key", "ca"))
    profile = Profile(values["kme"], values["sae"], Credentials(*files), values.get("peer"))
    _check(path, profile)
    return profile


def _check(path: Path, profile: Profile) -> None:
    try:
        check_url(profile.kme)
        check_sae(profile.sae)
        if profile.peer is not None:
            check_sae(profile.peer)
    except RequestUnusable as error:
        raise ProfileUnusable(f"the profile {path}: {error}") from error


def _path(state: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ProfileUnusable(
            "profile: expected a name of 1 to 64 letters, digits, dots, underscores or hyphens, "
            f"got {name[:80]!r}"
        )
    return profile_folder(state) / f"{name}.toml"


def profile_names(state: Path) -> list[str]:
    """Of all profiles of a state folder, sorted."""
    return sorted(each.stem for each in profile_folder(state).glob("*.toml"))


def _quoted(text: str) -> str:
    # JSON's strings are TOML's basic strings, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
