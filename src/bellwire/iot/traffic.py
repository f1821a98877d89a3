"""Bytes of a session's records, each as often as it travels."""

from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """Of one end, after its handshake.

    Attributes:
        sent_records: Records that this end sent.
        sent_bytes: Bytes of these, all that a transport is given.
        received_bytes: Bytes of the peer's records.
    """

    sent_records: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0

    def sent(self, record: bytes) -> bytes:
        """Count a record that leaves, and give it back."""
        self.sent_records += 1
        self.sent_bytes += len(record)
        return record

    def received(self, record: bytes) -> bytes:
        """Count a record that has come, and give it back."""
        self.received_bytes += len(record)
        return record
