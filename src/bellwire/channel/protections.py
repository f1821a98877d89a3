"""The record of what a session's keys rest on."""

from dataclasses import dataclass, replace

from bellwire.channel.messages import Suite
from bellwire.channel.terms import QkdKey


@dataclass(frozen=True, slots=True)
class Protections:
    """What a session's keys rest on: they fall only if everything named here falls.

    Attributes:
        qkd_source: Source label of the last QKD key that was mixed in, or None without one.
        suite: Which cipher seals the records.
        qkd_keys: How many QKD keys have been mixed in.
        refreshes: How often the session got fresh keys since the handshake.
        resumed: How many sessions before this one are in its keys.
        x25519: Elliptic-curve Diffie–Hellman, always.
        ml_kem_768: Lattice key encapsulation, always.
    """

    qkd_source: str | None
    suite: Suite = Suite.AES_256_GCM
    qkd_keys: int = 0
    refreshes: int = 0
    resumed: int = 0
    x25519: bool = True
    ml_kem_768: bool = True

    @classmethod
    def of(cls, qkd: QkdKey | None, suite: Suite) -> "Protections":
        """Those of a handshake that mixed in this key."""
        return cls(None if qkd is None else qkd.source, suite, int(qkd is not None))

    def refreshed(self, qkd: QkdKey | None) -> "Protections":
        """Those after fresh keys: what was mixed in before still counts."""
        return replace(
            self,
            qkd_source=self.qkd_source if qkd is None else qkd.source,
            qkd_keys=self.qkd_keys + (qkd is not None),
            refreshes=self.refreshes + 1,
        )

    def resume(self, qkd: QkdKey | None) -> "Protections":
        """Those of the session that resumes this one, and mixes in this key."""
        return replace(self.refreshed(qkd), refreshes=0, resumed=self.resumed + 1)

    @property
    def names(self) -> tuple[str, ...]:
        """For people: `x25519`, `ml-kem-768`, and `qkd (source)` if there is one."""
        qkd = () if self.qkd_source is None else (f"qkd ({self.qkd_source})",)
        return ("x25519", "ml-kem-768", *qkd)
