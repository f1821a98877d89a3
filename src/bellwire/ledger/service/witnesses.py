"""A log asks its witnesses to cosign each checkpoint: all at once, each within a time of its own.

What always holds: a checkpoint is handed on only with cosignatures that the policy's quorum asks
for, each of them verified. A witness that fails is asked again after a pause that doubles up to
LONGEST_PAUSE_S, so that it delays the others once. What a witness says of itself, the size that it
cosigned last, only chooses where the proof begins.

Source: C2SP tlog-witness, "add-checkpoint".
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import BellwireError
from bellwire.crypto.errors import SignatureInvalid
from bellwire.ledger.checkpoint import Checkpoint, parse_checkpoint
from bellwire.ledger.errors import NoteMalformed
from bellwire.ledger.note import Note, SignatureLine, parse_signature
from bellwire.ledger.policy import Policy
from bellwire.ledger.proving import Prover
from bellwire.ledger.service.errors import NotCosigned
from bellwire.ledger.signing import verify_signature
from bellwire.ledger.text import to_number
from bellwire.ledger.verifier_keys import VerifierKey
from bellwire.ledger.witness.submission import Submission

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
TRIES: Final = 3
"""For one checkpoint: with the size that we know of, and with those that the witness names."""
MAX_LINES: Final = 16
_SHOWN: Final = 200

Post = Callable[[bytes], Awaitable[tuple[int, bytes]]]
"""Sends a request to a witness: body → (HTTP code, content); raises BellwireError."""
Show = Callable[[Note], Awaitable[None]]
"""Takes a checkpoint that the quorum has cosigned; again with each further cosignature."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AskedWitness:
    """A witness, and the way to it.

    Attributes:
        name: In the policy.
        key: With which it cosigns.
        post: Its `add-checkpoint`.
    """

    name: str
    key: VerifierKey
    post: Post


@dataclass(slots=True)
class Standing:
    """How it stands with a witness.

    Attributes:
        name: In the policy.
        size: Entries of the last checkpoint that it cosigned, as far as we have its cosignature.
        at: When it did, in seconds since 1970, by its clock; 0 for never.
        trouble: Why it did not cosign when it was asked last; None if it did.
    """

    name: str
    size: int = 0
    at: int = 0
    trouble: str | None = None


@dataclass(slots=True)
class _Tried:
    """What we remember of a witness beside that."""

    known: int = 0
    failures: int = 0
    due: float = 0.0


class Witnesses:
    """All witnesses of one log; for its event loop's thread.

    Args:
        asked: Each of the policy's witnesses.
        policy: Its quorum decides what is handed on.
        prover: Of the log; for nobody else meanwhile.
        shown: The last checkpoint that was handed on; None if there is none.
        timer: Seconds of a clock that only advances.
        within_s: For one witness to answer for one checkpoint, in seconds.
    """

    def __init__(
        self,
        asked: Iterable[AskedWitness],
        policy: Policy,
        prover: Prover,
        shown: Note | None,
        timer: Clock,
        *,
        within_s: float,
    ) -> None:
        self._asked = tuple(asked)
        self._policy = policy
        self._prover = prover
        self._timer = timer
        self._within_s = within_s
        self._proving = asyncio.Lock()
        self._tried = {each.name: _Tried() for each in self._asked}
        self._note: Note | None = None
        self._lines: dict[str, SignatureLine] = {}
        self.standings = {each.name: Standing(each.name) for each in self._asked}
        if shown is not None:
            self._begin(shown)

    @property
    def quorum_met(self) -> bool:
        """Whether the last checkpoint has the cosignatures that the policy asks for."""
        return self._policy.holds(self._lines)

    def due_in_s(self, note: Note) -> float | None:
        """Seconds until a witness that lacks on a checkpoint is to be asked; None if none lacks."""
        if self._note is None or self._note.text != note.text:
            return 0.0
        due = [tried.due for name, tried in self._tried.items() if name not in self._lines]
        return max(0.0, min(due) - self._timer()) if due else None

    async def cosign(self, note: Note, show: Show) -> None:
        """Ask those that have not cosigned this checkpoint, unless they have failed just before.

        Args:
            note: The checkpoint, signed by the log, consistent with all that came here before.
            show: Called when the quorum is there, and for each cosignature beyond; what it raises
                passes on.
        """
        if self._note is None or note.text != self._note.text:
            self._begin(note)
        checkpoint = parse_checkpoint(note.text)
        met = self.quorum_met
        if met:
            await show(self._whole(note))
        now = self._timer()
        tasks = {
            asyncio.create_task(self._ask(each, checkpoint, note))
            for each in self._asked
            if each.name not in self._lines and self._tried[each.name].due <= now
        }
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                came = [task.result() for task in done]
                if any(came) and self.quorum_met:
                    met = True
                    await show(self._whole(note))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not met:
            have = ", ".join(self._lines) or "nobody"
            log.warning("quorum of witnesses is not met", size=checkpoint.size, cosigned=have)

    def _begin(self, note: Note) -> None:
        """Take a checkpoint up, with the cosignatures that it has already."""
        self._note, self._lines = note, {}
        checkpoint = parse_checkpoint(note.text)
        for each in self._asked:
            for line in note.signatures:
                if (line.name, line.key_id) == (each.key.name, each.key.key_id):
                    self._take(each, checkpoint, line)

    def _whole(self, note: Note) -> Note:
        return note.with_signatures(
            *(line for line in self._lines.values() if line not in note.signatures)
        )

    async def _ask(self, witness: AskedWitness, checkpoint: Checkpoint, note: Note) -> bool:
        """Whether a witness has cosigned; why not is in its standing."""
        standing, tried = self.standings[witness.name], self._tried[witness.name]
        try:
            async with asyncio.timeout(self._within_s):
                await self._exchange(witness, checkpoint, note)
        except TimeoutError:
            trouble = f"no answer within {self._within_s:g} s"
        except BellwireError as error:
            trouble = str(error)
        else:
            if standing.trouble is not None:
                log.info("witness cosigns again", witness=witness.name)
            standing.trouble, tried.failures = None, 0
            return True
        if trouble != standing.trouble:
            log.warning("witness does not cosign", witness=witness.name, reason=trouble)
        standing.trouble = trouble
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tried.failures, 10))
        tried.failures += 1
        tried.due = self._timer() + pause_s
        return False

    async def _exchange(self, witness: AskedWitness, checkpoint: Checkpoint, note: Note) -> None:
        tried = self._tried[witness.name]
        for _ in range(TRIES):
            old = tried.known
            proof = await self._proof(old, checkpoint.size)
            code, content = await witness.post(Submission(old, proof, note).encode())
            if code == 200:
                self._take(witness, checkpoint, _own_line(witness.key, content))
                return
            if code != 409:
                raise NotCosigned(f"expected a cosignature, got HTTP {code}: {_words(content)}")
            said = _size(content)
            if said > checkpoint.size:
                raise NotCosigned(
                    f"expected one that has cosigned at most {checkpoint.size:,} entries, which"
                    f" this log has, got {said:,}: this log was put back to an earlier state, or"
                    " the witness is wrong"
                )
            if said == old:
                raise NotCosigned(
                    f"expected one that follows these {said:,} entries, got one that has cosigned"
                    " others"
                )
            self._notice(witness, said)
            tried.known = said
        raise NotCosigned("expected the size that it cosigned last, got another each time")

    async def _proof(self, old: int, size: int) -> tuple[bytes, ...]:
        if old in {0, size}:
            return ()
        async with self._proving:
            return await asyncio.to_thread(self._prover.consistency, old, size)

    def _take(self, witness: AskedWitness, checkpoint: Checkpoint, line: SignatureLine) -> None:
        try:
            at = verify_signature(witness.key, line, checkpoint)
        except SignatureInvalid as error:
            raise NotCosigned(f"its cosignature: {error}") from error
        self._lines[witness.name] = line
        self._tried[witness.name].known = checkpoint.size
        standing = self.standings[witness.name]
        standing.size, standing.at = checkpoint.size, at or 0

    def _notice(self, witness: AskedWitness, said: int) -> None:
        had = self.standings[witness.name].size
        if said < had:
            log.warning("witness has forgotten", witness=witness.name, size=said, cosigned=had)


def _own_line(key: VerifierKey, content: bytes) -> SignatureLine:
    """The line of this key; lines of others are passed over, as the specification says."""
    lines = content.decode("utf-8", "replace").splitlines()
    if len(lines) > MAX_LINES:
        raise NotCosigned(f"expected at most {MAX_LINES} signature lines, got {len(lines)}")
    try:
        found = [parse_signature(line) for line in lines]
    except NoteMalformed as error:
        raise NotCosigned(f"expected signature lines: {error}") from error
    for line in found:
        if (line.name, line.key_id) == (key.name, key.key_id):
            return line
    raise NotCosigned(f"expected a cosignature of {key.name}, got those of other keys")


def _size(content: bytes) -> int:
    try:
        return to_number(content.decode("ascii").removesuffix("\n"))
    except ValueError as error:
        raise NotCosigned(f"expected the size that it cosigned last, got: {error}") from error


def _words(content: bytes) -> str:
    return ascii(content[:_SHOWN].decode("utf-8", "replace").strip())
