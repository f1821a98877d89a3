"""Who the SAEs of a site are, as the node asks."""

from typing import Protocol


class Saes(Protocol):
    """The SAEs of a site."""

    def serves(self, sae: str) -> bool:
        """Whether an SAE is of this site now."""

    def saes(self) -> frozenset[str]:
        """All of them, for the peer's KME to know."""


class NamedSaes:
    """SAEs that are known beforehand.

    Args:
        names: Theirs.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def serves(self, sae: str) -> bool:
        """Whether an SAE is among them."""
        return sae in self._names

    def saes(self) -> frozenset[str]:
        """All of them."""
        return self._names


NOBODY = NamedSaes(frozenset())
"""A site without SAEs: keys leave through the node's own socket only."""
