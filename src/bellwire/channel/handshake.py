"""The handshake: both ends prove their pinned keys, and agree on keys that no single break opens.

Pattern pqIK of PQNoise with X-Wing for every KEM, and Noise's psk2 for the QKD key. Three secrets
are mixed in: one that only the responder's pinned key opens, one that only the initiator's
ephemeral key opens (forward secrecy), one that only the initiator's pinned key opens; then the QKD
key, so that the session's keys hold if any of X25519, ML-KEM-768 and QKD holds. Every byte that
travels, the responder's name and both public keys are in the transcript that the keys are bound to.

Randomness is the operating system's: the KEM takes no other. The wire is in spec/channel.md.

Source: Angel, Dowling, Hülsing, Schwabe, Weber, "Post Quantum Noise", CCS 2022; The Noise Protocol
Framework, revision 34, 9 (psk); draft-connolly-cfrg-xwing-kem.
"""

from bellwire.channel.gate import Gate, GateLimits, Retry
from bellwire.channel.initiator import Initiator
from bellwire.channel.messages import Policy, Suite
from bellwire.channel.options import RefreshLimits, RekeyLimits, SessionOptions
from bellwire.channel.responder import Responder
from bellwire.channel.resumer import Resumer
from bellwire.channel.resumption import Ticket, TicketBox
from bellwire.channel.resumption_responder import ResumptionResponder
from bellwire.channel.terms import QkdKey, fingerprint

__all__ = [
    "Gate",
    "GateLimits",
    "Initiator",
    "Policy",
    "QkdKey",
    "RefreshLimits",
    "RekeyLimits",
    "Responder",
    "Resumer",
    "ResumptionResponder",
    "Retry",
    "SessionOptions",
    "Suite",
    "Ticket",
    "TicketBox",
    "fingerprint",
]
