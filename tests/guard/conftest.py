"""Namespaces that the kernel tests of a module share; each test makes rules of its own."""

import os
from collections.abc import Iterator

import pytest
from tests.guard.spaces import Spaces, spaces
from tests.guard.walls import NAMES, Wall, wall

from bellwire.guard.nft import Nft


@pytest.fixture(scope="module")
def made() -> Iterator[Spaces]:
    if os.geteuid() and not os.environ.get("CI"):
        pytest.skip("needs root, to make networks")
    with spaces() as found:
        yield found


@pytest.fixture
def net(made: Spaces) -> Iterator[Spaces]:
    yield made
    with wall("nftables"):  # in the router's namespace, as the test
        pass


@pytest.fixture(params=NAMES)
def each_wall(net: Spaces, request: pytest.FixtureRequest) -> Iterator[Wall]:
    """Each firewall in turn."""
    with wall(request.param) as found:
        yield found


@pytest.fixture(params=["nftables", "iptables-nft"])
def each_lease(net: Spaces, request: pytest.FixtureRequest) -> Iterator[Wall]:
    """Each kind of lease in turn: a set of nftables, or an ipset, which is one for all iptables."""
    with wall(request.param) as found:
        yield found


@pytest.fixture
def nft(made: Spaces) -> Iterator[Nft]:
    firewall = Nft()
    yield firewall
    firewall.close()
