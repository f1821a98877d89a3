"""What a witness decides: whether a log only appended, and then its cosignature.

What always holds: of each log, the checkpoints that were cosigned are each consistent with the one
before; what was decided is durable before the cosignature is known to anybody; and of two requests
at once the second sees what the first has left.

Source: C2SP tlog-witness, "add-checkpoint"; tlog-cosignature, "Format".
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bellwire.base.clock import Clock, system_clock
from bellwire.crypto.errors import SignatureInvalid
from bellwire.ledger.checkpoint import Checkpoint, parse_checkpoint
from bellwire.ledger.errors import NoteMalformed, PolicyUnusable
from bellwire.ledger.note import Note
from bellwire.ledger.policy import Policy, verify_checkpoint
from bellwire.ledger.proofs import verify_consistency
from bellwire.ledger.signing import Signer, verify_signature
from bellwire.ledger.verifier_keys import KeyKind, VerifierKey
from bellwire.ledger.witness.errors import (
    HistorySplit,
    LogUnknown,
    OldSizeDiffers,
    SubmissionMalformed,
    WitnessRolledBack,
)
from bellwire.ledger.witness.memory import Memory, Seen
from bellwire.ledger.witness.submission import Submission, parse_submission


class Witness:
    """One witness; its calls may come from several threads.

    Args:
        signers: Its own keys, of one name.
        logs: Keys of the logs that it follows, as `by_origin` orders them.
        memory: What it cosigned last.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        signers: Sequence[Signer],
        logs: Mapping[str, Policy],
        memory: Memory,
        clock: Clock = system_clock,
    ) -> None:
        own = {each.verifier.public for each in signers}
        names = {each.verifier.name for each in signers}
        for origin, policy in logs.items():
            if origin in names or any(key.public in own for key in policy.logs):
                raise PolicyUnusable(
                    f"log {origin}: expected another's name and key, got the witness's own"
                )
        self._signers = tuple(signers)
        self._logs = dict(logs)
        self._memory = memory
        self._clock = clock
        self._lock = threading.Lock()

    def add_checkpoint(self, body: bytes) -> str:
        """Cosign a checkpoint if it is consistent with the last one.

        Args:
            body: As tlog-witness forms the request.

        Returns:
            The signature lines, once the checkpoint is durably kept as the last.

        Raises:
            SubmissionMalformed: the request is none, or its old size is over the new one.
            LogUnknown: the origin is of no log that is followed.
            CheckpointUntrusted: the log did not sign it.
            OldSizeDiffers: the old size is not that of the last one.
            HistorySplit: the sizes are equal and the roots are not.
            ConsistencyMismatch: the proof does not hold.
            WitnessRolledBack: the state was put back; nothing of this log is cosigned any more.
            WitnessStateDamaged, PathUnusable: the state cannot be read or written.
        """
        submission = parse_submission(body)
        checkpoint = self._authentic(submission.note)
        if submission.old > checkpoint.size:
            raise SubmissionMalformed(
                f"old size: expected at most {checkpoint.size}, got {submission.old}"
            )
        with self._lock:
            seen = self._memory.recall(checkpoint.origin)
            self._require_own_memory(submission.note, checkpoint, seen)
            _require_consistent(submission, checkpoint, seen)
            # A clock that was put back must not say that a larger tree was seen earlier.
            time = max(int(self._clock()), seen.time)
            self._memory.keep(checkpoint.origin, Seen(checkpoint.size, checkpoint.root, time))
        # ML-DSA-44 leaves extension lines unsigned, so such a checkpoint gets Ed25519 alone.
        able = [
            each
            for each in self._signers
            if not checkpoint.extensions or each.verifier.kind is not KeyKind.COSIGNATURE_MLDSA44
        ]
        return "".join(str(each.sign(checkpoint, time)) for each in able)

    def _authentic(self, note: Note) -> Checkpoint:
        try:
            origin = parse_checkpoint(note.text).origin
        except NoteMalformed as error:
            raise SubmissionMalformed(str(error)) from error
        policy = self._logs.get(origin)
        if policy is None:
            raise LogUnknown(f"expected a log that is followed here, got {origin[:80]!r}")
        return verify_checkpoint(note, policy).checkpoint

    def _require_own_memory(self, note: Note, checkpoint: Checkpoint, seen: Seen) -> None:
        """See that nothing that we signed is newer than what we remember."""
        if not seen.halted and _beyond(checkpoint, seen):
            own = (each.verifier for each in self._signers)
            if not any(_signed(note, checkpoint, key) for key in own):
                return
            seen = replace(seen, halted=True)
            self._memory.keep(checkpoint.origin, seen)
        if seen.halted:
            raise WitnessRolledBack(
                f"expected to remember each checkpoint of {checkpoint.origin[:80]!r} that was"
                f" cosigned, got one beyond {seen.size} entries: the state was put back",
                hint="Let a new witness with another name take its place.",
            )


def by_origin(keys: Iterable[VerifierKey]) -> dict[str, Policy]:
    """Whose signature a witness asks for, by origin, which is the name of the log's keys.

    Raises:
        PolicyUnusable: a key cannot be a log's, or is there twice.
    """
    logs: dict[str, list[VerifierKey]] = {}
    for key in keys:
        logs.setdefault(key.name, []).append(key)
    return {origin: Policy(tuple(each)) for origin, each in logs.items()}


def _require_consistent(submission: Submission, checkpoint: Checkpoint, seen: Seen) -> None:
    if submission.old != seen.size:
        raise OldSizeDiffers(seen.size, submission.old)
    if seen.size and checkpoint.size == seen.size and checkpoint.root != seen.root:
        raise HistorySplit(checkpoint.origin, seen.size)
    verify_consistency(seen.size, checkpoint.size, submission.proof, seen.root, checkpoint.root)


def _beyond(checkpoint: Checkpoint, seen: Seen) -> bool:
    same = checkpoint.size == seen.size
    return checkpoint.size > seen.size or (same and checkpoint.root != seen.root)


def _signed(note: Note, checkpoint: Checkpoint, key: VerifierKey) -> bool:
    for line in note.signatures:
        try:
            verify_signature(key, line, checkpoint)
        except SignatureInvalid:
            continue  # somebody else's, or a forgery, which proves nothing
        return True
    return False
