"""One command: a device is registered, certified, told of its cloud, and sends to it at once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.iot.test_command_line import cloud_process
from tests.web.test_admission import NAME, a_log, bring, desk, refused

from bellwire.admission.channel import ChannelDesk, CloudPlace
from bellwire.admission.register import Gate, Register, Standing
from bellwire.admission.service import revoke
from bellwire.cli.main import run
from bellwire.iot import admitted, enrolment
from bellwire.iot.admitted import Admitted
from bellwire.iot.authority import PUBLIC_FILE, REVOKED_FILE, create
from bellwire.iot.errors import IdentityError
from bellwire.iot.identity import load_or_create
from bellwire.node.admission_channel import DeviceCertificates, opened_or_made

Said = Callable[..., Any]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def say(code: int, *words: object) -> Any:
        capsys.readouterr()
        assert run([*map(str, words), "--json"]) == code
        # The server of this process says on standard output, too, what it does.
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return say


def place_at(channel: DeviceCertificates, address: str | None) -> Callable[[Register], ChannelDesk]:
    place = CloudPlace("cloud-b", "cloud", address)
    return lambda register: ChannelDesk(register, channel, place)


def test_one_command_enrols_a_device_that_sends_until_it_is_revoked(
    tmp_path: Path, said: Said
) -> None:
    ours, theirs = ("--state", tmp_path / "a"), ("--state", tmp_path / "b")
    data = tmp_path / "data.csv"
    data.write_text("n\n1\n2\n3\n")
    ca = tmp_path / "ca"
    channel = opened_or_made(ca, None)
    trust = ("--authority", str(ca / PUBLIC_FILE), "--revoked", str(ca / REVOKED_FILE))
    with (
        cloud_process(tmp_path / "b", "--listen", "127.0.0.1:0", "--qkd", "off", *trust) as (
            _,
            ready,
        ),
        a_log(tmp_path / "log") as (loop, log),
        desk(
            tmp_path,
            log=str(log.client.base_url),
            channel=place_at(channel, ready["listen"]),
        ) as at,
    ):
        policy = tmp_path / "policy"
        policy.write_text(f"log {log.service.signer.identity.keys[1]}\nquorum none\n")
        there = ("--at", at.url, "--server", NAME)
        record = ("--log", log.client.base_url, "--log-policy", policy)
        enroll = ("device", "enroll", *there, "--name", "thermo-1", *record, *ours)
        none = said(3, *enroll)
        assert "expected a cloud that is admitted" in none["error"]["message"]
        said(0, "register", "cloud-b", "--cloud", *there, *theirs)
        loop.wait(bring(at.admission.register, log))
        done = said(0, *enroll)
        assert (done["status"], done["address"], done["recorded"]) == (
            "admitted",
            ready["listen"],
            1,
        )
        cloud = load_or_create(tmp_path / "b" / "cloud").public_bytes
        assert enrolment.load(tmp_path / "a" / "device")[1].public == cloud
        send = ("device", "send", "--data", data, "--qkd", "off", *ours)
        assert said(0, *send)["complete"] is True
        assert at.http.get("/register/channel/authority").content == channel.authority()
        assert at.http.get("/register/channel/revoked").content == channel.revoked()

        before = enrolment.load_certificate(tmp_path / "a" / "device")
        renewed = said(0, "device", "enroll", *ours)
        assert renewed["recorded"] == 1
        assert enrolment.load_certificate(tmp_path / "a" / "device") != before
        data.write_text("n\n1\n2\n3\n4\n")
        assert said(0, *send)["sent"] == 5
        now = int(at.admission._clock())
        revoke(at.admission.register, [at.authority], "thermo-1", now, lambda: channel)
        assert said(3, *send)["error"]["code"] == 3
        assert "revoked" in said(3, "device", "enroll", *ours)["error"]["message"]


def test_a_device_pins_nothing_that_the_record_or_it_itself_knows_otherwise(
    tmp_path: Path, said: Said
) -> None:
    ours, theirs = ("--state", tmp_path / "a"), ("--state", tmp_path / "b")
    folder = tmp_path / "a" / "device"
    channel = opened_or_made(tmp_path / "ca", None)
    with (
        a_log(tmp_path / "log") as (loop, log),
        desk(tmp_path / "one", log=str(log.client.base_url), channel=place_at(channel, None)) as at,
        desk(tmp_path / "two", channel=place_at(channel, None)) as false,
    ):
        policy = tmp_path / "policy"
        policy.write_text(f"log {log.service.signer.identity.keys[1]}\nquorum none\n")
        said(0, "register", "cloud-b", "--cloud", "--at", at.url, "--server", NAME, *theirs)
        loop.wait(bring(at.admission.register, log))
        # Another server has somebody else by the cloud's name.
        other = ("--state", tmp_path / "c")
        said(0, "register", "cloud-b", "--cloud", "--at", false.url, "--server", NAME, *other)
        enroll = ("device", "enroll", "--name", "thermo-1", "--server", NAME, *ours)
        record = ("--log", log.client.base_url, "--log-policy", policy)
        found = said(3, *enroll, "--at", false.url, *record)
        assert "expected the key that the record has of cloud-b" in found["error"]["message"]
        assert not (folder / "cloud.pin").exists()
        assert said(0, *enroll, "--at", at.url)["recorded"] is None
        assert "got another" in said(2, *enroll, "--at", false.url)["error"]["message"]
        foreign = DeviceCertificates(create(tmp_path / "foreign", "ed25519"))
        at.admission.channel._authority = foreign  # type: ignore[union-attr]
        at.admission.channel._cloud = None  # type: ignore[union-attr]
        found = said(2, "device", "enroll", *ours)
        assert "expected the authority that" in found["error"]["message"]
        assert said(0, "device", "enroll", "--replace", *ours)["status"] == "admitted"


def test_who_waits_goes_on_with_the_command_alone(tmp_path: Path, said: Said) -> None:
    ours = ("--state", tmp_path / "a")
    channel = opened_or_made(tmp_path / "ca", None)
    with desk(tmp_path, gate=Gate.OPERATOR, channel=place_at(channel, "[::1]:7")) as at:
        register = at.admission.register
        there = ("--at", at.url, "--server", NAME)
        said(0, "register", "cloud-b", "--cloud", *there, "--state", tmp_path / "b")
        register.decide("cloud-b", Standing.ADMITTED, 1)
        enroll = ("device", "enroll", *there, "--name", "Thermo-1", *ours)
        assert said(0, *enroll) == {"username": "thermo-1", "status": "waiting"}
        assert said(0, "device", "enroll", *ours)["status"] == "waiting"
        register.decide("thermo-1", Standing.ADMITTED, 1)
        assert said(0, "device", "enroll", *ours)["address"] == "[::1]:7"
        found = said(0, "device", "enroll", "--to", "udp://127.0.0.1:9", *ours)
        assert found["address"] == "udp://127.0.0.1:9"
    assert said(4, "device", "enroll", *ours)["error"]["code"] == 4
    # Enrolled otherwise, it is no longer as the server said.
    pin = tmp_path / "cloud.pub"
    said(2, "device", "enroll", "--cloud-key", pin, "--at", "http://127.0.0.1:1", *ours)


def test_a_server_without_a_cloud_certifies_no_device(tmp_path: Path, said: Said) -> None:
    ours = ("--state", tmp_path / "a")
    with desk(tmp_path) as at:
        enroll = ("device", "enroll", "--at", at.url, "--server", NAME, "--name", "dev-1", *ours)
        found = said(3, *enroll)
        assert "expected a certificate of the channel" in found["error"]["message"]
        for path in ("authority", "revoked"):
            refused(at.http.get(f"/register/channel/{path}"), 404)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--at", "http://127.0.0.1:1"),
        ("--at", "http://127.0.0.1:1", "--name", "thermo-1", "--log", "http://127.0.0.1:2"),
        ("--at", "http://127.0.0.1:1", "--name", "thermo-1", "--to", "nowhere"),
        ("--at", "http://127.0.0.1:1", "--name", "thermo-1", "--code", "x"),
        ("--server", "other"),
        ("--token", "file"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, said: Said, words: tuple[str, ...]
) -> None:
    said(2, "device", "enroll", *words, "--state", tmp_path)


def test_a_file_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    assert admitted.load(tmp_path) is None
    admitted.keep(tmp_path, Admitted("http://127.0.0.1:1", "thermo-1", cloud="127.0.0.1:7"))
    assert admitted.cloud_address(tmp_path) == "127.0.0.1:7"
    (tmp_path / admitted.FILE).write_bytes(b"{}")
    with pytest.raises(IdentityError, match="how this device was admitted"):
        admitted.load(tmp_path)
    certificate = tmp_path / enrolment.CERTIFICATE_FILE
    certificate.write_bytes(b"of the server")
    admitted.forget(tmp_path)
    assert admitted.load(tmp_path) is None
    assert not certificate.exists()
    certificate.write_bytes(b"given as a file")
    admitted.forget(tmp_path)
    assert certificate.exists()
