"""The file of a backup: a plain tar, with a list of its members and their digests first.

`tar tf` shows what is in it. What always holds: what is unpacked is what was packed, whole, and
every name is one that a backup has; links, folders and anything else are refused.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping

import msgspec

from bellwire.node.errors import BackupUnusable

ABOUT = "backup.json"
MAX_ARCHIVE = 1 << 30
MAX_MEMBERS = 100_000
VERSION = 1

_NAMES = re.compile(
    r"(?:node-[ab]/(?:history\.json|identity\.seed|identity\.pub|tags\.json|used-keys)"
    r"|network-[A-Za-z0-9_-]{1,64}/identity\.(?:seed|pub)"
    r"|ca-[A-Za-z0-9_-]{1,64}/(?:index\.jsonl|authority-\d{1,9}\.(?:crt|key)|authority-\d{1,9}-vouched\.crt)"
    r"|profiles/[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.toml"
    r"|bellwire\.toml)"
)


class About(msgspec.Struct, frozen=True):
    """What a backup says of itself.

    Attributes:
        version: Of the format.
        made_at: When, UTC.
        sites: Whose nodes are in it.
        files: SHA-256 of each member, in hexadecimal.
    """

    version: int
    made_at: str
    sites: tuple[str, ...]
    files: dict[str, str]


def pack(files: Mapping[str, bytes], *, made_at: str, sites: tuple[str, ...]) -> bytes:
    """The file of a backup.

    Raises:
        BackupUnusable: it would be too large to be read again.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    about = msgspec.json.format(msgspec.json.encode(About(VERSION, made_at, sites, digests)))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {ABOUT: about + b"\n", **files}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    made = out.getvalue()
    if len(made) > MAX_ARCHIVE or len(files) >= MAX_MEMBERS:
        raise BackupUnusable(
            f"expected a backup of at most {MAX_ARCHIVE >> 20} MiB, got {len(made) >> 20}"
        )
    return made


def unpack(archive: bytes) -> tuple[About, dict[str, bytes]]:
    """What is in a backup.

    Raises:
        BackupUnusable: it is none, or not the whole of it.
    """
    try:
        members = _members(archive)
        about = msgspec.json.decode(members.pop(ABOUT), type=About)
    except (tarfile.TarError, KeyError, msgspec.DecodeError, ValueError, EOFError) as error:
        raise BackupUnusable("expected a backup of `bellwire keys backup`, got another") from error
    if about.version != VERSION:
        raise BackupUnusable(
            f"expected a backup of version {VERSION}, got {about.version}",
            hint="Use the version of bellwire that made it.",
        )
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    if digests != about.files:
        raise BackupUnusable("expected the files that the backup lists, got others: it is damaged")
    strange = next((name for name in members if _NAMES.fullmatch(name) is None), None)
    if strange is not None:
        raise BackupUnusable(f"expected files of a backup, got {strange!r:.80}")
    return about, members


def _members(archive: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar:
            if not member.isreg() or member.name in found or len(found) > MAX_MEMBERS:
                raise BackupUnusable(f"expected plain files in a backup, got {member.name!r:.80}")
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = file.read(MAX_ARCHIVE)
            if len(found[member.name]) != member.size:
                raise BackupUnusable("expected the whole of a backup, got a part of it")
    return found
