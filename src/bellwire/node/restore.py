"""A backup becomes a state folder again, whole, whatever interrupts it.

Everything is laid out in a folder beside, then marked whole, and only then moved into its places.
The same call again goes on where an earlier one was interrupted. Nothing that is there gives way.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.errors import UsageError
from bellwire.base.private import own_folder, read_own_file, sync_folder, unusable, write_whole
from bellwire.node.archive import MAX_ARCHIVE, unpack
from bellwire.node.errors import BackupUnusable
from bellwire.node.fence import HISTORY_FILE, read_history

STAGING = "restoring"
WHOLE = "whole"

UNKNOWN_USES = b'{"restored": true}\n'
"""In the place of how far recordings of time tags were used: what was used since is not known."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored.

    Attributes:
        state: The state folder.
        made_at: When the backup was made, UTC.
        sites: Whose nodes are in it.
        files: What is in it.
    """

    state: Path
    made_at: str
    sites: tuple[str, ...]
    files: tuple[str, ...]


def restore(archive: Path, state: Path) -> Restored:
    """Restore a backup.

    Args:
        archive: From `backup.back_up`; a file that its owner alone may read and write.
        state: The state folder; made if it is missing.

    Returns:
        What was restored.

    Raises:
        BackupUnusable: it is no backup, or damaged.
        UsageError: something that it has is in the state folder already.
        PathUnusable, PathExposed: a file cannot be read or written.
    """
    content = read_own_file(archive, MAX_ARCHIVE + 1)
    if content is None:
        raise BackupUnusable(f"expected a backup at {archive}, got no file")
    about, files = unpack(content)
    for name in files:
        if name.endswith(f"/{HISTORY_FILE}"):
            read_history(files[name], archive)
    own_folder(state)
    staging, mark = state / STAGING, hashlib.sha256(content).hexdigest().encode()
    places = sorted({name.split("/")[0] for name in files})
    try:
        if not _is_moved(staging, state, places):
            if not staging.exists() or read_own_file(staging / WHOLE, len(mark)) != mark:
                _refuse_present(state, places)
                _lay_out(files, staging)
                write_whole(staging / WHOLE, mark, replace=True)
            for place in places:
                if (staging / place).exists():
                    _refuse_present(state, [place])
                    (staging / place).rename(state / place)
                    sync_folder(state)
            (staging / WHOLE).unlink()
        staging.rmdir()
        sync_folder(state)
    except OSError as error:
        raise unusable(staging, error) from error
    return Restored(state, about.made_at, about.sites, tuple(sorted(files)))


def _is_moved(staging: Path, state: Path, places: list[str]) -> bool:
    """Whether an earlier call did all but its last step."""
    empty = staging.exists() and not any(staging.iterdir())
    return empty and all((state / place).exists() for place in places)


def _refuse_present(state: Path, places: list[str]) -> None:
    there = [place for place in places if (state / place).exists()]
    if there:
        raise UsageError(
            f"expected a state folder without {', '.join(there)}, got {state}",
            hint="Restore into a new folder, or move these away first.",
        )


def _lay_out(files: dict[str, bytes], staging: Path) -> None:
    if staging.exists():
        shutil.rmtree(staging)
    own_folder(staging)
    for name, content in files.items():
        path = staging / name
        own_folder(path.parent)
        write_whole(path, UNKNOWN_USES if path.name == "tags.json" else content, replace=True)
