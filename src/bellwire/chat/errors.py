"""What is refused in a conversation.

BellwireError
├── UsageError
│   ├── ChatMisuse            our own call: out of order, too long, malformed
│   ├── AttachmentUnusable    a file cannot be attached, or an attachment cannot be saved
│   ├── ContactUnknown        nobody of that fingerprint is known, or no session is there yet
│   ├── GroupUnusable         a group cannot be made or changed so, or not by us
│   ├── HistoryUnusable       a file of history cannot be written or read, or is too large
│   ├── HomeUnusable          a person of this machine is not there, or has a file that is none
│   ├── MoveRefused           a relay cannot move there; it is where it was
│   ├── MessageUnknown        no such message is in the conversation
│   └── StoreUnusable         a person's or a relay's store cannot be opened, read or written
├── StoreCorrupt              a store is damaged, or none of ours
├── RelayMisbehaved           what came over the line to a relay is no frame of its protocol
├── NewsUnreachable           (UnreachableError) the NATS server between relays does not answer
├── RelayUnreachable          (UnreachableError) no relay answers, or the line to it has ended
└── RefusedError
    ├── HistoryRefused        a file of history is none, was cut or changed, or is another code's
    ├── RelayRefused          the relay says no; `reason` is why
    ├── AccountRefused        the relay's accounts say no; `reason` is why
    ├── RelayChanged          what answers has not the key of the relay that was expected
    ├── IdentityChanged       a handle has another identity than the one that was known
    ├── PadExhausted          policy `require`, and no pad of ours is long enough
    ├── BundleRefused         a peer's keys are not signed by its identity, or have expired
    ├── OpeningRefused        the first message of a session is not acceptable
    ├── LinkRefused           a contact link is none, was cut or used, or its keys are not valid
    └── MessageRefused        a message is not shown, and changed nothing
        ├── PayloadMalformed  of no size or kind that there is: cut, or another's
        ├── NotAuthentic      altered, forged, re-addressed, or of another session
        │   └── PadDiffers    its one-time tag does not hold: it has another pad at each side
        ├── Replayed          it was opened before, or is too old to be told from one that was
        ├── TooManySkipped    more messages before it are missing than keys are kept for
        ├── EpochUnknown      its keys come from a step that we have not seen, nor can take now
        ├── PadMissing        it names a pad that is not here (yet); `pad_id` is which
        ├── PadSpent          it names bytes of a pad that served before
        ├── StepPadGone       its keys come from pad that is gone here, as those of all after it
        ├── StrangerRefused   of somebody who is not accepted, and more than is kept of such
        ├── GroupRefused      of somebody who is not in the group, or a roster that is not its own
        └── ContentMalformed  authentic, and not what this version understands

No message of these errors carries a byte of a key, a pad or a text.
"""

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError


class ChatMisuse(UsageError):
    """A conversation was asked for something that its state or its limits do not allow."""


class AttachmentUnusable(UsageError):
    """A file cannot be attached, or an attachment is not here or cannot be written there."""


class GroupUnusable(UsageError):
    """A group cannot be made, changed or written to so, or not by us; nothing was changed."""


class ContactUnknown(UsageError):
    """Nobody of that fingerprint is known, or there is no session with them yet."""


class LinkRefused(RefusedError):
    """A contact link is none, was cut or used, or its keys are not valid; nobody was added."""


class HistoryUnusable(UsageError):
    """A file of history cannot be written or read, or has more than one such file may have."""


class HistoryRefused(RefusedError):
    """A file of history is none, was cut or changed, or its code is another; nothing was taken."""


class HomeUnusable(UsageError):
    """A person of this machine is not there, is one of several, or has a file that is none."""


class MessageUnknown(UsageError):
    """No message of that id is in the conversation, or it is not ours to change."""


class StoreUnusable(UsageError):
    """A store cannot be opened, read or written, or another process has it open."""


class StoreCorrupt(BellwireError):
    """A store is not what was written there; it was left as it is."""


class RelayMisbehaved(BellwireError):
    """What came over the line is no frame of the protocol, or of another version."""


class RelayUnreachable(UnreachableError):
    """No relay answers at the address, or the line to it has ended; again may help."""


class NewsUnreachable(UnreachableError):
    """The NATS server over which relays hear each other does not answer, or does not take us."""


class RelayRefused(RefusedError):
    """The relay did not do what it was asked for.

    Attributes:
        reason: Its number for why (spec/relay.md).
    """

    def __init__(self, reason: int, why: str) -> None:
        super().__init__(f"the relay refused: {why}")
        self.reason = reason


class MoveRefused(UsageError):
    """A relay cannot move there; it is where it was."""


class AccountRefused(RefusedError):
    """The relay's accounts did not do what they were asked for.

    Attributes:
        reason: Their number for why (spec/accounts.md).
    """

    def __init__(self, reason: int, why: str, *, hint: str | None = None) -> None:
        super().__init__(f"the relay's accounts refused: {why}", hint=hint)
        self.reason = reason


class RelayChanged(RefusedError):
    """What answers at a relay's address has not the key that the relay had."""


class IdentityChanged(RefusedError):
    """A handle names another identity than before: somebody may be in between.

    Attributes:
        handle: Whose.
        known: Fingerprint of the identity that we knew.
        found: Fingerprint of the one that the relay names now.
    """

    def __init__(self, handle: str, known: bytes, found: bytes) -> None:
        super().__init__(
            f"expected {handle} to be {known.hex()[:16]}…, got {found.hex()[:16]}… from the relay",
            hint="Ask them by another way. Until safety numbers agree, this may be an impostor.",
        )
        self.handle, self.known, self.found = handle, known, found


class PadExhausted(RefusedError):
    """The policy is `require`, and no pad of ours has as many bytes left; nothing was sent.

    Attributes:
        needed: Bytes of pad that the message takes.
    """

    def __init__(self, needed: int) -> None:
        super().__init__(
            f"the policy requires one-time pad, and no pad has the {needed} bytes left that this "
            "message takes",
            hint="Wait for more key, or choose the policy `prefer` for this conversation.",
        )
        self.needed = needed


class BundleRefused(RefusedError):
    """A peer's prekeys are altered, another's, or expired; no session begins."""


class OpeningRefused(RefusedError):
    """The first message of a session is altered, replayed, or names keys that are gone."""


class MessageRefused(RefusedError):
    """A message is not shown, and nothing that we keep was changed by it."""


class PayloadMalformed(MessageRefused):
    """What came has not the length or the form of a message."""


class NotAuthentic(MessageRefused):
    """The message is not the one that our peer sealed for us at this place."""


class PadDiffers(NotAuthentic):
    """The session's keys open the message, and its one-time tag does not hold.

    The pad is not the same on both sides, or somebody has the session's keys and not the pad.

    Attributes:
        pad_id: Which.
        content_id: Of the message, as its sender says; None where the message does not say.
    """

    def __init__(self, pad_id: bytes, content_id: bytes | None) -> None:
        super().__init__("expected the one-time tag of this message, got another")
        self.pad_id, self.content_id = pad_id, content_id


class Replayed(MessageRefused):
    """The message was opened before, or is older than what can be told from that."""


class TooManySkipped(MessageRefused):
    """Too many messages before this one are missing."""


class EpochUnknown(MessageRefused):
    """The message's keys come from a step of the ratchet that cannot be taken."""


class PadMissing(MessageRefused):
    """The message names a pad that is not here; with the pad, it can be opened.

    Attributes:
        pad_id: Which.
        content_id: Of the message, as its sender says; None where the message does not say.
        of_step: Whether its keys are mixed with that pad.
    """

    of_step: bool = False

    def __init__(self, pad_id: bytes) -> None:
        super().__init__(f"expected pad {pad_id.hex()[:8]}… to be here, got a message before it")
        self.pad_id = pad_id
        self.content_id: bytes | None = None


class PadSpent(MessageRefused):
    """The message names bytes of a pad that served before, or that the pad never had.

    Attributes:
        content_id: Of the message, as its sender says; None where the message does not say.
        of_step: Whether its keys are mixed with those bytes.
    """

    content_id: bytes | None = None
    of_step: bool = False


class StepPadGone(MessageRefused):
    """The message's keys are mixed with pad that will never be here, as those of all after it."""


class StrangerRefused(MessageRefused):
    """Somebody who was not accepted yet, or is one too many, says more than is kept of such."""


class GroupRefused(MessageRefused):
    """What came names a group that its author is not in, or a roster that its admin did not sign.

    Attributes:
        content_id: Of the message; None where its author is not to be told.
    """

    def __init__(self, why: str, content_id: bytes | None = None) -> None:
        super().__init__(why)
        self.content_id = content_id


class ContentMalformed(MessageRefused):
    """The message is authentic, and says nothing that this version understands."""
