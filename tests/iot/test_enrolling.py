"""Enrolment by a code, both sides over a socket: once, by one device, whatever breaks."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.crashes import Crash, mortal
from tests.iot.doubles import CLOUD, CLOUD_KEY, DEVICE, STRANGER_KEY, Bench, readings
from tests.patience import PATIENCE_S

from bellwire.base.private import PathExposed
from bellwire.channel.errors import HandshakeRefused
from bellwire.iot import enrolment
from bellwire.iot import invitations as module
from bellwire.iot.code import Code, make_code
from bellwire.iot.destination import Address
from bellwire.iot.enrol_messages import Answer, make_request, read_answer
from bellwire.iot.enrolling import Enroller
from bellwire.iot.errors import (
    CloudUnreachable,
    CodeExpired,
    CodeSpent,
    CodeUnknown,
    CodeUsed,
    EnrolmentFailed,
    IdentityError,
    InvitationError,
)
from bellwire.iot.events import Enrolled
from bellwire.iot.identity import AllowList, PublicIdentity
from bellwire.iot.invitations import MAX_WRONG, Invitations
from bellwire.iot.joining import join


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await work

    asyncio.run(bounded())


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def kept(tmp_path: Path, time: Time) -> Invitations:
    return Invitations(
        tmp_path / "cloud" / "invitations", tmp_path / "cloud" / "allowed", clock=time
    )


def listed(tmp_path: Path) -> dict[bytes, str]:
    admitted = AllowList(tmp_path / "cloud" / "allowed").load()
    return {each.public: each.name for each in admitted.values()}


@contextlib.asynccontextmanager
async def enrolling(bench: Bench, kept: Invitations, time: Time) -> AsyncIterator[Bench]:
    async with bench.running(admit=False, invitations=kept) as cloud:
        assert cloud.door.enroller is not None
        object.__setattr__(cloud.door.enroller, "clock", time)
        yield bench


def test_after_enrolling_each_has_the_others_key_and_readings_arrive(
    tmp_path: Path, kept: Invitations, time: Time
) -> None:
    bench = Bench(tmp_path)

    async def work() -> None:
        async with enrolling(bench, kept, time):
            with pytest.raises(HandshakeRefused):
                await bench.device().send(readings(3), bench.address)
            invitation, code = kept.invite("sensor-7", 600)
            answer = await join(code, DEVICE.public, bench.address)
            assert (answer.public, answer.cloud, answer.device) == (
                CLOUD.public,
                CLOUD.name,
                "sensor-7",
            )
            assert listed(tmp_path) == {DEVICE.public: "sensor-7"}
            report = await bench.device().send(readings(3), bench.address)
            assert report.complete
            found = kept.find(invitation.id)
            assert found is not None
            assert found.state(time.now) == "used"
        assert [e.device.name for e in bench.events if isinstance(e, Enrolled)] == ["sensor-7"]

    run(work())


def test_a_code_admits_one_device_and_the_second_is_told_so(
    tmp_path: Path, kept: Invitations, time: Time
) -> None:
    bench = Bench(tmp_path)

    async def work() -> None:
        async with enrolling(bench, kept, time):
            _, code = kept.invite("sensor-7", 600)
            await join(code, DEVICE.public, bench.address)
            with pytest.raises(CodeUsed) as refused:
                await join(code, STRANGER_KEY.public_bytes, bench.address)
            assert refused.value.exit_code == 3
        assert listed(tmp_path) == {DEVICE.public: "sensor-7"}

    run(work())


def test_of_many_devices_that_race_with_one_code_one_wins(
    tmp_path: Path, kept: Invitations, time: Time
) -> None:
    bench = Bench(tmp_path)
    keys = [DEVICE.public, STRANGER_KEY.public_bytes] * 4

    async def work() -> None:
        async with enrolling(bench, kept, time):
            _, code = kept.invite("sensor-7", 600)
            done = await asyncio.gather(
                *(join(code, key, bench.address) for key in keys), return_exceptions=True
            )
        admitted = {key for key, got in zip(keys, done, strict=True) if isinstance(got, Answer)}
        assert len(admitted) == 1
        assert set(listed(tmp_path)) == admitted
        assert {type(each) for each in done} == {Answer, CodeUsed}

    run(work())


def test_an_expired_code_a_cancelled_one_and_another_clouds_are_told_apart(
    tmp_path: Path, kept: Invitations, time: Time
) -> None:
    bench = Bench(tmp_path)

    async def work() -> None:
        async with enrolling(bench, kept, time):
            _, expired = kept.invite("late", 60)
            cancelled, taken_back = kept.invite("gone", 6000)
            kept.cancel(cancelled.id)
            time.now += 60
            with pytest.raises(CodeExpired):
                await join(expired, DEVICE.public, bench.address)
            with pytest.raises(CodeUnknown):
                await join(taken_back, DEVICE.public, bench.address)
            with pytest.raises(CodeUnknown, match="got one that does not"):
                await join(make_code(), DEVICE.public, bench.address)
        assert listed(tmp_path) == {}

    run(work())


def test_guesses_cost_the_codes_life_and_the_count_survives_a_restart(
    tmp_path: Path, kept: Invitations, time: Time
) -> None:
    bench = Bench(tmp_path)

    class Guess(Code):
        @property
        def id(self) -> bytes:
            return invitation.id

    invitation, code = kept.invite("sensor-7", 600)

    async def work(guesses: int) -> None:
        async with enrolling(bench, kept, time):
            for _ in range(guesses):
                guess = Guess(make_code().secret)
                with pytest.raises(CodeUnknown):
                    await join(guess, STRANGER_KEY.public_bytes, bench.address)

    run(work(MAX_WRONG - 1))
    found = kept.find(invitation.id)
    assert found is not None
    assert found.state(time.now) == "open"
    run(work(1))

    async def too_late() -> None:
        async with enrolling(bench, kept, time):
            with pytest.raises(CodeSpent):
                await join(code, DEVICE.public, bench.address)

    run(too_late())
    assert listed(tmp_path) == {}


def test_a_device_that_is_taken_off_the_list_does_not_come_back_by_its_old_request(
    tmp_path: Path, kept: Invitations
) -> None:
    _, code = kept.invite("sensor-7", 600)
    enroller = Enroller(CLOUD, kept, lambda event: None, kept._clock)
    request = make_request(code, DEVICE.public)

    async def ask(message: bytes) -> tuple[bytes, BaseException | None]:
        return await enroller.answer(message)

    for _ in range(3):
        said, refused = asyncio.run(ask(request))
        assert refused is None
        assert isinstance(read_answer(said, request, code), Answer)
    assert listed(tmp_path) == {DEVICE.public: "sensor-7"}
    (entry,) = (tmp_path / "cloud" / "allowed").glob("*.pub")
    entry.unlink()
    for message in (request, make_request(code, DEVICE.public)):
        _, refused = asyncio.run(ask(message))
        assert isinstance(refused, CodeUsed)
    kept.settle()
    assert listed(tmp_path) == {}


def test_the_clouds_own_key_is_not_enrolled_as_a_devices(tmp_path: Path, kept: Invitations) -> None:
    _, code = kept.invite("mirror", 600)
    enroller = Enroller(CLOUD, kept, lambda event: None, kept._clock)
    _, refused = asyncio.run(enroller.answer(make_request(code, CLOUD_KEY.public_bytes)))
    assert isinstance(refused, CodeUnknown)
    assert listed(tmp_path) == {}


def test_a_crash_of_the_cloud_at_any_step_never_admits_two_and_the_same_device_can_go_on(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = set()
    for last in count():
        home = tmp_path / str(last)
        kept = Invitations(home / "cloud" / "invitations", home / "cloud" / "allowed", clock=time)
        invitation, code = kept.invite("sensor-7", 600)
        enroller = Enroller(CLOUD, kept, lambda event: None, time)
        request = make_request(code, DEVICE.public)
        died = False
        with mortal(last, monkeypatch):
            try:
                enroller._decide(module_request(request))
            except Crash:
                died = True
        after = Invitations(home / "cloud" / "invitations", home / "cloud" / "allowed", clock=time)
        after.settle()
        taken = after.find(invitation.id)
        assert taken is not None
        assert (taken.device is not None) == (listed(home) == {DEVICE.public: "sensor-7"})
        answers.add(taken.device is not None)
        again = Enroller(CLOUD, after, lambda event: None, time)
        if taken.device is not None:
            other = make_request(code, STRANGER_KEY.public_bytes)
            assert isinstance(again._decide(module_request(other))[1], CodeUsed)
        said, _ = again._decide(module_request(request))
        assert isinstance(read_answer(said, request, code), Answer)
        assert listed(home) == {DEVICE.public: "sensor-7"}
        if not died:
            break
    assert last > 10
    assert answers == {True, False}


def module_request(message: bytes) -> Any:
    from bellwire.iot.enrol_messages import read_request

    return read_request(message)


def test_a_device_that_stops_before_it_has_kept_its_pin_enrols_again_with_the_same_code(
    tmp_path: Path, kept: Invitations, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, folder = Bench(tmp_path), tmp_path / "device"
    _, code = kept.invite("sensor-7", 600)

    async def enrol() -> None:
        async with enrolling(bench, kept, time):
            key = enrolment.own_key(folder)
            answer = await join(code, key.public_bytes, bench.address)
        cloud = PublicIdentity("cloud", answer.cloud, answer.public)
        with mortal(last, monkeypatch):
            enrolment.enroll(folder, key, cloud, name=answer.device, allow=None, replace=False)

    for last in count():  # noqa: B007 - `enrol` reads it
        try:
            run(enrol())
        except Crash:
            continue
        break
    assert last > 5
    assert enrolment.load(folder)[1].public == CLOUD.public
    assert list(listed(tmp_path).values()) == ["sensor-7"]


def test_somebody_without_the_code_who_answers_is_not_believed(tmp_path: Path) -> None:
    code = make_code()

    async def work() -> None:
        from bellwire.iot.enrol_messages import make_answer

        async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readexactly(1284)
            writer.write(make_answer(request, make_code().key, Answer(CLOUD.public, "c", "d")))
            writer.close()

        server = await asyncio.start_server(impostor, "127.0.0.1", 0)
        async with server:
            to = Address(*server.sockets[0].getsockname()[:2])
            with pytest.raises(EnrolmentFailed, match="another's"):
                await join(code, DEVICE.public, to)
        with pytest.raises(CloudUnreachable, match="got no answer"):
            await join(code, DEVICE.public, to)

    run(work())


def test_a_cloud_that_does_not_enrol_by_codes_is_unreachable_for_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def work() -> None:
        async with bench.running(admit=False):
            with pytest.raises(CloudUnreachable, match="did not answer"):
                await join(make_code(), DEVICE.public, bench.address)

    run(work())


def test_requests_count_against_the_budget_of_their_network(
    tmp_path: Path, kept: Invitations, time: Time
) -> None:
    from bellwire.channel.handshake import GateLimits
    from bellwire.iot.limits import Limits

    bench = Bench(tmp_path)
    few = Limits(gate=GateLimits(network_per_s=0.001, network_burst=3))

    async def work() -> None:
        async with bench.running(admit=False, invitations=kept, limits=few):
            for _ in range(3):
                with pytest.raises(CodeUnknown):
                    await join(make_code(), DEVICE.public, bench.address)
            with pytest.raises(CloudUnreachable):
                await join(make_code(), DEVICE.public, bench.address)
        assert "too many" in bench.reasons

    run(work())


def test_another_clouds_pin_does_not_give_way_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "device"
    key = enrolment.own_key(folder)
    other = PublicIdentity("cloud", "other", STRANGER_KEY.public_bytes)
    enrolment.enroll(folder, key, other, name="d", allow=None, replace=False)
    with pytest.raises(IdentityError, match="got another"):
        enrolment.enroll(folder, key, CLOUD, name="d", allow=None, replace=False)


# The folder of invitations


def test_an_invitation_is_its_owners_alone_and_does_not_hold_the_code(
    tmp_path: Path, kept: Invitations
) -> None:
    invitation, code = kept.invite("sensor-7", 600)
    (path,) = (tmp_path / "cloud" / "invitations").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_bytes())["name"] == "sensor-7"
    assert code.spell().encode() not in path.read_bytes()
    assert repr(invitation) == "Invitation('sensor-7')"
    path.chmod(0o644)
    with pytest.raises(PathExposed):
        kept.find(invitation.id)


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[" * 2000, b"\xff" * 50])
def test_a_spoilt_invitation_is_none(content: bytes, tmp_path: Path, kept: Invitations) -> None:
    invitation, _ = kept.invite("sensor-7", 600)
    (path,) = (tmp_path / "cloud" / "invitations").glob("*.json")
    path.write_bytes(content)
    assert kept.find(invitation.id) is None
    assert kept.all() == []
    path.rename(path.with_name("elsewhere.json"))
    assert kept.all() == []


@pytest.mark.parametrize(
    ("name", "life"),
    [("", 60), ("x" * 61, 60), ("a\nb", 60), ("x", 59), ("x", 604_801), ("x", float("nan"))],
)
def test_an_invitation_out_of_bounds_is_refused(name: str, life: float, kept: Invitations) -> None:
    with pytest.raises(InvitationError):
        kept.invite(name, life)
    assert kept.all() == []


def test_invitations_are_bounded_and_those_that_ended_long_ago_go(
    kept: Invitations, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_INVITATIONS", 3)
    for number in range(3):
        kept.invite(f"s{number}", 60)
        time.now += 1
    with pytest.raises(InvitationError, match="fewer than 3"):
        kept.invite("one more", 60)
    assert [each.name for each in kept.all()] == ["s0", "s1", "s2"]
    time.now += 8 * 86_400
    kept.invite("one more", 60)
    assert [each.name for each in kept.all()] == ["one more"]
    with pytest.raises(InvitationError, match="got none"):
        kept.cancel(bytes(16))
