"""What can go wrong between a device, its readings and its cloud.

BellwireError
├── ProtocolError         the peer, authenticated, sent what the protocol does not allow
├── CloudRejected         the cloud answered that it does not store; `reason` says why
├── StoreFailed           the cloud's disk failed; nothing of the batch was acknowledged
│   ├── StreamFull        a stream, or a device's folder, has reached its limit
│   └── OutOfStep         a batch does not begin where the stream ends
├── NobodyReads           who should read what the cloud sends to a device is gone
├── QueueFull             too many messages wait for a device, or for all
├── UsageError
│   ├── DeviceUnknown     no device, or more than one, has this name or fingerprint
│   ├── MessageUnfit      a message to a device is empty or too long, or its time is out of bounds
│   ├── DataError         a file of readings is missing or malformed; `path`, `line`
│   ├── RangeError        a range of readings that does not exist, or would leave a gap
│   ├── IdentityError     a key file is missing or malformed, or says something else
│   ├── InvitationError   an invitation cannot be made so, or is not there
│   ├── StateInUse        another cloud uses the state folder
│   ├── ListenError       the address cannot be listened at: in use, or not ours
│   ├── OutputUnknown     a place for readings is misspelt, or its library is not installed
│   └── TransportMissing  a transport needs a package that is not installed
├── RefusedError
│   ├── KeyRefused        the source of keys gives none: link RED, or the key is gone
│   ├── BufferSpoilt      a file of a device's buffer is not what this device wrote
│   ├── StreamMismatch    what the cloud holds of a stream is not what the device has
│   ├── EnrolmentFailed   a message of enrolment is not one, or not under the code
│   └── CodeRefused       the cloud does not take the code
│       ├── CodeUnknown   it does not know it: another cloud's, or taken back
│       ├── CodeUsed      another device used it
│       ├── CodeExpired   it is too old
│       └── CodeSpent     it was tried wrongly too often
└── UnreachableError
    ├── OutputFailed      an output of the cloud does not take readings now
    ├── KeyUnavailable    the source of keys does not answer, or has none now
    ├── BrokerUnreachable no MQTT broker answers, or it does not let us in
    └── CloudUnreachable  the cloud does not answer, or stopped answering
        └── CloudSilent   it ended the connection at our hello: another cloud, or too busy
"""

from pathlib import Path

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError


class ProtocolError(BellwireError):
    """The peer holds the right keys and does not speak the protocol."""


class CloudRejected(BellwireError):
    """The cloud does not store a reading, and says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the cloud does not take the readings: {reason}")
        self.reason = reason


class StoreFailed(BellwireError):
    """A stream's files could not be written; what was acknowledged before is still there."""


class StreamFull(StoreFailed):
    """The stream, or the device's folder, has reached its limit."""


class OutOfStep(StoreFailed):
    """A batch does not begin where the stream ends: another connection was ahead."""


class NobodyReads(BellwireError):
    """A device's standard output is closed; messages wait at the cloud."""


class QueueFull(BellwireError):
    """No more messages are taken for a device that is away; those before are kept."""


class DeviceUnknown(UsageError):
    """Messages go to devices that are admitted, or were here."""


class MessageUnfit(UsageError):
    """A message to a device, or how long it may wait, is outside the bounds."""


class DataError(UsageError):
    """A file of readings is not what it should be.

    Attributes:
        path: The file.
        line: Line number from 1, or None where it is the file as a whole.
    """

    def __init__(self, path: Path, line: int | None, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}" if line else f"{path}: {message}")
        self.path = path
        self.line = line


class RangeError(UsageError):
    """The readings asked for are not there, or the cloud lacks readings before them."""


class IdentityError(UsageError):
    """A file with a public or private key is missing, malformed, or of another role."""


class InvitationError(UsageError):
    """An invitation cannot be made as asked for, or there is none of this id."""


class StateInUse(UsageError):
    """A state folder is in use by another cloud."""


class ListenError(UsageError):
    """The cloud cannot listen at this address."""


class OutputUnknown(UsageError):
    """A place where readings should go is misspelt, or its library is not installed."""


class TransportMissing(UsageError):
    """A transport needs a package that is not installed."""


class KeyRefused(RefusedError):
    """The source of keys refuses; nothing may be sent."""


class BufferSpoilt(RefusedError):
    """A file of a device's buffer is not what this device wrote."""


class StreamMismatch(RefusedError):
    """The cloud holds other readings under this stream's name."""


class OutputFailed(UnreachableError):
    """A place where readings go does not take them now; they wait in the cloud's files."""


class EnrolmentFailed(RefusedError):
    """A message of enrolment is malformed, or was not made by who has the code."""


class CodeRefused(RefusedError):
    """The cloud does not admit a device by this code."""


class CodeUnknown(CodeRefused):
    """The cloud does not know the code: it is another cloud's, or was taken back."""


class CodeUsed(CodeRefused):
    """Another device has used the code."""


class CodeExpired(CodeRefused):
    """The code is too old."""


class CodeSpent(CodeRefused):
    """Somebody without the code named its invitation too often."""


class KeyUnavailable(UnreachableError):
    """The source of keys cannot be reached, or has no key at this moment."""


class BrokerUnreachable(UnreachableError):
    """No MQTT broker answers at this address, or it does not let us in; readings are kept."""


class CloudUnreachable(UnreachableError):
    """Nothing answers at the cloud's address, or it stopped answering; readings are kept."""


class CloudSilent(CloudUnreachable):
    """What listens took our hello and said nothing: another cloud than the pinned one, or busy."""
