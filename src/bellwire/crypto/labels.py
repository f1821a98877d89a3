"""Labels that keep one use of a key apart from another, in one list so that none is used twice.

Source: NIST SP 800-108r1, 4 (Label); RFC 5869, 3.2 (info).
"""

from typing import Final

XWING: Final = b"\\.//^\\"
"""draft-connolly-cfrg-xwing-kem, 5.3: the end of the combiner's input."""

ADMISSION_POSSESSION: Final = b"bellwire admission possession 1"
"""Context of proofs that a newcomer holds its keys (admission.possession)."""

CHANNEL_ALERT: Final = b"bellwire channel alert"
CHANNEL_CERTIFICATE: Final = b"bellwire channel certificate 1"
CHANNEL_INDEX: Final = b"bellwire channel index"
CHANNEL_MAC1: Final = b"bellwire channel mac1"
CHANNEL_NEXT: Final = b"bellwire channel next"
CHANNEL_RECORDS: Final = b"bellwire channel records"
CHANNEL_REFRESH: Final = b"bellwire channel refresh"
CHANNEL_REVOKED: Final = b"bellwire channel revoked 1"
CHANNEL_SPLIT: Final = b"bellwire channel split"
CHAT_ACCOUNT: Final = b"bellwire chat account 1"
CHAT_ACCOUNT_LINE: Final = b"bellwire chat account line 1"
CHAT_ACCOUNT_OFFER: Final = b"bellwire chat account offer 1"
CHAT_CHAIN: Final = b"bellwire chat chain"
CHAT_FILE: Final = b"bellwire chat file 1"
CHAT_GROUP_ID: Final = b"bellwire chat group id 1"
CHAT_HANDLE: Final = b"bellwire chat handle 1"
CHAT_HISTORY: Final = b"bellwire chat history 1"
CHAT_IDENTITY: Final = b"bellwire chat identity"
CHAT_MESSAGE: Final = b"bellwire chat message"
CHAT_OPENING: Final = b"bellwire chat opening 1"
CHAT_PASSWORD: Final = b"bellwire chat password 1"
CHAT_PREKEY: Final = b"bellwire chat prekey 1"
CHAT_RELAY: Final = b"bellwire chat relay 1"
CHAT_RELAY_NEWS: Final = b"bellwire chat relay news 1"
CHAT_ROSTER: Final = b"bellwire chat roster 1"
CHAT_SAFETY: Final = b"bellwire chat safety 1"
CHAT_SESSION: Final = b"bellwire chat session"
CHAT_STEP: Final = b"bellwire chat step"
CHAT_STORE: Final = b"bellwire chat at rest 1"
CHAT_TAG: Final = b"bellwire chat tag 1"
CONSOLE_PEERING: Final = b"bellwire console peering 1 "
"""Begins what is authenticated of messages between consoles (spec/console-peering.md)."""

CHANNEL_TICKET: Final = b"bellwire channel ticket"
FLEET_DEVICE: Final = b"bellwire fleet device"
ENROLMENT: Final = b"bellwire enrolment 1 "
"""Begins every label of enrolment by a one-time code (spec/enrolment.md)."""

DEVICE_BUFFER: Final = b"bellwire device buffer"
FIRST_CONTACT: Final = b"bellwire first contact 1"
"""Begins every context and label of the signed exchange (spec/first-contact.md)."""

KEY_IDS: Final = b"bellwire key ids"

KEY_RELAY: Final = b"bellwire key relay 1"
"""Begins every context, label and tagged text of relayed keys (spec/key-relay.md)."""

KME_PEERING: Final = b"bellwire kme peering 1 "
"""Keys of the connection between two KMEs (spec/kme-peering.md), followed by the sender's side."""

PLACES: Final = b"bellwire places 1"
STATUS_WORD: Final = b"bellwire status word 1"
"""Context of a node's words over NATS (guard.signed)."""
