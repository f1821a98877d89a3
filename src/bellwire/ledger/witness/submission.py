"""What a log sends to a witness: the old size, a consistency proof and a checkpoint.

Source: C2SP tlog-witness, "add-checkpoint".
"""

from dataclasses import dataclass
from typing import Final

from bellwire.ledger.errors import NoteMalformed
from bellwire.ledger.note import MAX_NOTE_BYTES, Note, parse_note
from bellwire.ledger.text import to_base64, to_hash, to_number
from bellwire.ledger.witness.errors import SubmissionMalformed

MAX_HASHES: Final = 63
MAX_SUBMISSION_BYTES: Final = MAX_NOTE_BYTES + 4096
_OLD: Final = "old "


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to cosign, not verified.

    Attributes:
        old: Size of the checkpoint that the proof begins at; 0 for none.
        proof: Hashes of 32 bytes, as RFC 6962, 2.1.2, orders them.
        note: The checkpoint and its signatures.
    """

    old: int
    proof: tuple[bytes, ...]
    note: Note

    def encode(self) -> bytes:
        """As it is sent."""
        lines = [f"{_OLD}{self.old}", *map(to_base64, self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note.encode()


def parse_submission(data: bytes) -> Submission:
    """Read a request.

    Raises:
        SubmissionMalformed: it is none.
    """
    if len(data) > MAX_SUBMISSION_BYTES:
        raise SubmissionMalformed(
            f"request: expected at most {MAX_SUBMISSION_BYTES:,} bytes, got {len(data):,}"
        )
    head, gap, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise SubmissionMalformed("request: expected ASCII before the checkpoint") from error
    if not gap or not lines[0].startswith(_OLD) or len(lines) > MAX_HASHES + 1:
        raise SubmissionMalformed(
            f"request: expected the old size, at most {MAX_HASHES} hashes, an empty line and a"
            " checkpoint, got something else"
        )
    try:
        old = to_number(lines[0].removeprefix(_OLD))
        proof = tuple(to_hash(line) for line in lines[1:])
        return Submission(old, proof, parse_note(note))
    except (ValueError, NoteMalformed) as error:
        raise SubmissionMalformed(f"request: {error}") from error
