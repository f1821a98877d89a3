"""The protocols by their names and traits, for who has to do with keys and not with photons."""

from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    """How photons become correlated bits.

    BB84: Bennett, Brassard (1984). BBM92: Bennett, Brassard, Mermin, PRL 68, 557 (1992). E91:
    Ekert, PRL 67, 661 (1991). Decoy BB84: Hwang, PRL 91, 057901 (2003); Lo, Ma, Chen, PRL 94,
    230504 (2005).
    """

    BB84 = "bb84"
    BBM92 = "bbm92"
    E91 = "e91"
    DECOY = "decoy-bb84"

    @property
    def entangled(self) -> bool:
        """Whether both sides detect photons of pairs; else Alice prepares pulses, Bob detects."""
        return _TRAITS[self].entangled

    @property
    def settings(self) -> int:
        """Settings of each side: the two conjugate bases, or E91's three angles."""
        return _TRAITS[self].settings

    @property
    def judged_on_chsh(self) -> bool:
        """Whether S decides and bounds Eve; else the compared bits of conjugate bases do."""
        return _TRAITS[self].judged_on_chsh

    @property
    def weak(self) -> bool:
        """Whether Alice's pulses are a laser's, of several intensities; else single photons."""
        return _TRAITS[self].weak


@dataclass(frozen=True, slots=True)
class _Traits:
    entangled: bool
    settings: int
    judged_on_chsh: bool
    weak: bool = False


_TRAITS = {
    Protocol.BB84: _Traits(entangled=False, settings=2, judged_on_chsh=False),
    Protocol.BBM92: _Traits(entangled=True, settings=2, judged_on_chsh=False),
    Protocol.E91: _Traits(entangled=True, settings=3, judged_on_chsh=True),
    Protocol.DECOY: _Traits(entangled=False, settings=2, judged_on_chsh=False, weak=True),
}
