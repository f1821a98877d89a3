"""Ports that are needed: a taken one is named, with its setting and who has it."""

import os
import socket
from types import SimpleNamespace

import psutil
import pytest

from bellwire.services import ports
from bellwire.services.errors import PortTaken
from bellwire.services.ports import Port, check_ports, trouble_of


def test_a_port_in_use_is_named_with_its_setting_and_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        taken = Port("KME of site b", "addresses.kme_b_port", "127.0.0.1", number)
        with pytest.raises(PortTaken) as caught:
            check_ports([Port("cloud", "addresses.cloud_port", "127.0.0.1", 0), taken])
    assert f"port {number} of 127.0.0.1 for the KME of site b" in str(caught.value)
    assert f"(process {os.getpid()})" in str(caught.value)
    assert "addresses.kme_b_port" in str(caught.value.hint)
    check_ports([taken])


def test_a_host_that_is_not_ours_is_trouble() -> None:
    # TEST-NET-1 (RFC 5737) is no machine's address.
    assert trouble_of("192.0.2.1", 0) is not None


def test_a_holder_that_we_may_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    assert ports._holder(1) == ""
    hidden = SimpleNamespace(laddr=SimpleNamespace(port=1), status=psutil.CONN_LISTEN, pid=None)
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [hidden])
    assert ports._holder(1) == ""
