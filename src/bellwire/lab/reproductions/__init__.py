"""Published results made again: one module a page of docs/explanation/reproductions.

Each gives what the source states beside what this program finds, a table with residuals and a
figure. `quick` draws fewer points and pulses; what follows from formulas is the same.
"""

from collections.abc import Callable

from bellwire.lab.reproductions import eve_share, finite_decoy, gys, thresholds, two_links
from bellwire.lab.reproductions.model import Fact, Reproduction, Row

__all__ = ["MAKERS", "Fact", "Reproduction", "Row"]

MAKERS: dict[str, Callable[..., Reproduction]] = {
    "finite-decoy": finite_decoy.reproduce,
    "gys": gys.reproduce,
    "thresholds": thresholds.reproduce,
    "eve-share": eve_share.reproduce,
    "two-links": two_links.reproduce,
}
"""Name → `reproduce(seed, quick=…)`."""
