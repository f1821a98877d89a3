"""Checkpoints: what a log says it is, in three lines: its origin, its size, its root.

Source: C2SP tlog-checkpoint, "Note text".
"""

from dataclasses import dataclass
from typing import Final

from bellwire.ledger.errors import NoteMalformed
from bellwire.ledger.note import MAX_NAME_BYTES
from bellwire.ledger.text import to_base64, to_hash, to_number
from bellwire.ledger.tree import EMPTY_ROOT

MAX_EXTENSIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head of one log.

    Attributes:
        origin: Which log, at most 255 bytes.
        size: Its number of entries.
        root: (32,) root of its tree.
        extensions: Further lines, which ML-DSA-44 cosignatures do not cover; ours have none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of its note."""
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint from the text of a note.

    Raises:
        NoteMalformed: it is none, or its origin has over 255 bytes, or it has over 16 extensions.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise NoteMalformed(
            "checkpoint: expected at least three lines, none empty, got another text"
        )
    origin, size, root, *extensions = lines
    if len(origin.encode()) > MAX_NAME_BYTES or len(extensions) > MAX_EXTENSIONS:
        raise NoteMalformed(
            f"checkpoint: expected an origin of at most {MAX_NAME_BYTES} bytes and at most"
            f" {MAX_EXTENSIONS} extension lines, got more"
        )
    try:
        found = Checkpoint(origin, to_number(size), to_hash(root), tuple(extensions))
    except ValueError as error:
        raise NoteMalformed(f"checkpoint: {error}") from error
    if found.size == 0 and found.root != EMPTY_ROOT:
        raise NoteMalformed("checkpoint: expected the root of no entries, got another root")
    return found
