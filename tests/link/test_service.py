import asyncio
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from tests.link.laws import seeds

from bellwire.base.decoys import Decoys
from bellwire.base.detections import Detections, Half, Protocol, Side
from bellwire.base.frames import ConnectionEnded, read_frame, write_frame
from bellwire.base.local import LocalServer, SocketUnusable, ask
from bellwire.base.private import PathExposed, PathUnusable
from bellwire.link import service as service_module
from bellwire.link.attacks import AnyEve
from bellwire.link.choices import PreparedPulses
from bellwire.link.client import ControlClient, LinkClient
from bellwire.link.config import LinkConfig
from bellwire.link.detectors import Detectors
from bellwire.link.errors import (
    LabOnly,
    LinkMisbehaved,
    LinkRefused,
    LinkTimeout,
    LinkUnreachable,
    ParameterError,
    Refusal,
    RunDirTaken,
)
from bellwire.link.eve import Axes, Eve, EveKind
from bellwire.link.messages import BlockRequest, Prepared, Refused, decode_block_answer, encode
from bellwire.link.service import LinkService, socket_path
from bellwire.link.weak import WeakEve, WeakEveKind, decoy_config
from bellwire.link.weak_law import joint_law
from bellwire.link.weak_nodes import WeakPulses

IDEAL = LinkConfig(misalignment=0.0)
ALICE, BOB, _ = seeds(100)


def ticket(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def both(
    folder: Path, number: int, protocol: Protocol = Protocol.E91, pulses: int = 2_000
) -> tuple[Half, Half]:
    alice, bob = await asyncio.gather(
        LinkClient(folder / "alice.sock").block(ticket(number), protocol, pulses, ALICE),
        LinkClient(folder / "bob.sock").block(ticket(number), protocol, pulses, BOB),
    )
    return alice, bob


def disagreement(alice: Half, bob: Half) -> float:
    """QBER of BB84's sifted bits."""
    assert bob.received is not None
    hers, his = alice.at(bob.received), bob.at(bob.received)
    kept = hers.settings == his.settings
    return float((hers.outcomes != his.outcomes)[kept].mean())


def test_two_clients_get_halves_of_one_bb84_block(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with LinkService(tmp_path / "run", IDEAL):
            alice, bob = await both(tmp_path / "run", 1, Protocol.BB84)
        assert isinstance(alice, PreparedPulses)
        assert isinstance(bob, Detections)
        assert disagreement(alice, bob) == 0.0

    asyncio.run(scenario())


def test_two_clients_get_halves_of_one_e91_block(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with LinkService(tmp_path / "run", IDEAL):
            alice, bob = await both(tmp_path / "run", 1)
        slots = np.arange(2_000)
        hers, his = alice.at(slots), bob.at(slots)
        key = (hers.settings == his.settings + 1) & (his.settings < 2)
        assert key.sum() > 300
        assert (hers.outcomes == his.outcomes)[key].all()

    asyncio.run(scenario())


DECOYS = Decoys((0.6, 0.2, 0.01), (0.5, 0.3, 0.2))
FIBRE = LinkConfig(
    fibre_km=5.0,
    detector_efficiency=0.8,
    dark_count_probability=1e-4,
    detectors=Detectors(dead_gates=3),
)


async def decoy_block(
    folder: Path, number: int, pulses: int, bob_decoys: Decoys = DECOYS, rectilinear: float = 0.8
) -> tuple[Half, Half]:
    alice = LinkClient(folder / "alice.sock", decoys=DECOYS, decoy_rectilinear=0.8)
    bob = LinkClient(folder / "bob.sock", decoys=bob_decoys, decoy_rectilinear=rectilinear)
    what = ticket(number), Protocol.DECOY, pulses
    return await asyncio.gather(alice.block(*what, ALICE), bob.block(*what, BOB))


@pytest.mark.parametrize(
    ("eve", "weak"),
    [
        (None, None),
        (
            Eve(EveKind.INTERCEPT_RESEND, 0.5),
            WeakEve(WeakEveKind.INTERCEPT_RESEND, 0.5),
        ),
        (
            WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING),
            WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING),
        ),
    ],
    ids=str,
)
def test_two_clients_get_halves_of_one_block_of_decoy_states(
    tmp_path: Path, eve: AnyEve | None, weak: WeakEve | None
) -> None:
    pulses = 400_000

    async def scenario() -> tuple[Half, Half]:
        async with LinkService(tmp_path / "run", FIBRE, lab=True, eve=eve, seed=3):
            return await decoy_block(tmp_path / "run", 1, pulses)

    alice, bob = asyncio.run(scenario())
    assert isinstance(alice, WeakPulses)
    assert isinstance(bob, Detections)
    assert bob.intensities is None
    assert np.diff(bob.slots).min() > 3
    sent = alice.at(bob.slots)
    assert sent.intensities is not None
    # Which choices click how often is the law of that light, whatever the blind gates.
    found = np.zeros((3, 2, 2, 2, 2), np.int64)
    choices = sent.intensities, bob.settings, sent.settings, sent.outcomes
    np.add.at(found, (*choices, bob.outcomes), 1)
    law = joint_law(decoy_config(DECOYS, 0.8, FIBRE), weak)
    law = law.reshape(2, 3, 2, 2, 2, 4).sum(axis=0)
    wanted = np.stack([law[..., 1] + law[..., 3] / 2, law[..., 2] + law[..., 3] / 2], -1)
    wanted *= bob.slots.size / wanted.sum()
    likely = wanted > 5
    chi_square = ((found - wanted) ** 2 / wanted)[likely].sum()
    freedom = int(likely.sum()) - 1
    assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)


def test_sides_that_do_not_send_the_same_decoys_are_both_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, FIBRE):
            for number, others in enumerate([(Decoys(), 0.8), (DECOYS, 0.5)]):
                with pytest.raises(LinkRefused, match=r"intensities 0\.6,0\.2,0\.01") as raised:
                    await decoy_block(folder, number, 1_000, *others)
                assert raised.value.refusal is Refusal.MISMATCH
            await decoy_block(folder, 9, 1_000)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (BlockRequest(ticket(1), Protocol.DECOY, 1_000, BOB), "decoys"),
        (BlockRequest(ticket(1), Protocol.E91, 1_000, BOB, 0.7), "rectilinear"),
        (BlockRequest(ticket(1), Protocol.E91, 1_000, BOB, 0.5, DECOYS), "only in decoy-bb84"),
        (BlockRequest(ticket(1), Protocol.DECOY, 2**26, BOB, 0.7, DECOYS), "detections"),
    ],
)
def test_a_block_whose_light_is_not_as_its_protocols_is_refused(
    tmp_path: Path, request_: BlockRequest, words: str
) -> None:
    async def scenario() -> Refused:
        async with LinkService(tmp_path / "run", IDEAL):
            body = await ask(
                tmp_path / "run" / "bob.sock", encode(request_), answer_limit=1024, timeout_s=10
            )
        answer = decode_block_answer(body)
        assert isinstance(answer, Refused)
        return answer

    answer = asyncio.run(scenario())
    assert answer.refusal in {Refusal.PARAMETER, Refusal.TOO_LARGE}
    assert words in answer.message


def test_an_eve_of_the_other_light_hinders_a_block_until_she_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, FIBRE, lab=True):
            control = ControlClient(folder / "control.sock")
            await control.set_eve(Eve(EveKind.GHZ))
            with pytest.raises(LinkRefused, match="on weak pulses as one of"):
                await decoy_block(folder, 1, 1_000)
            await control.set_eve(WeakEve(WeakEveKind.BEAM_SPLITTING))
            await decoy_block(folder, 1, 1_000)
            with pytest.raises(LinkRefused, match="only on weak pulses"):
                await both(folder, 2, Protocol.BB84)
            await control.set_eve(None)
            await both(folder, 2, Protocol.BB84)

    asyncio.run(scenario())


def test_noise_repeats_under_a_seed_for_the_same_ticket_only(tmp_path: Path) -> None:
    async def halves(folder: Path, number: int, seed: int | None) -> Half:
        async with LinkService(folder, IDEAL, lab=True, seed=seed):
            return (await both(folder, number))[1]

    async def scenario() -> None:
        slots = np.arange(2_000)
        runs = [(1, 7), (1, 7), (2, 7), (1, 8), (1, None), (1, None)]
        found = [await halves(tmp_path / "run", number, seed) for number, seed in runs]
        outcomes = [half.at(slots).outcomes.tobytes() for half in found]
        assert outcomes[0] == outcomes[1]
        assert len(set(outcomes)) == 5

    asyncio.run(scenario())


def test_sockets_are_private_and_control_is_the_labs(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "deep" / "run"
        async with LinkService(folder, IDEAL) as service:
            assert service.socket_paths == [socket_path(folder, side) for side in Side]
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            for path in service.socket_paths:
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with pytest.raises(LinkUnreachable):
                await ControlClient(folder / "control.sock").link()
        assert list(folder.iterdir()) == []

    asyncio.run(scenario())


def test_eve_comes_and_goes_between_blocks(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        eve = Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes.degrees(0, 90))
        async with LinkService(folder, IDEAL, lab=True, eve=eve, seed=1):
            control = ControlClient(folder / "control.sock")
            assert (await control.link()).eve == eve
            assert 0.2 < disagreement(*await both(folder, 1, Protocol.BB84, 8_000)) < 0.3
            state = await control.set_eve(None)
            assert (state.eve, state.config) == (None, IDEAL)
            assert disagreement(*await both(folder, 2, Protocol.BB84)) == 0.0

    asyncio.run(scenario())


def test_an_eve_whom_the_protocol_has_not_is_refused_and_leaves_the_ticket_unspent(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        eve = Eve(EveKind.SUBSTITUTION)
        async with LinkService(folder, IDEAL, lab=True, eve=eve, seed=1):
            with pytest.raises(LinkRefused, match="source sends pairs") as raised:
                await LinkClient(folder / "bob.sock").block(ticket(1), Protocol.BB84, 2_000, BOB)
            assert raised.value.refusal is Refusal.PARAMETER
            await ControlClient(folder / "control.sock").set_eve(None)
            assert disagreement(*await both(folder, 1, Protocol.BB84)) == 0.0

    asyncio.run(scenario())


@pytest.mark.parametrize(("eve", "seed"), [(Eve(EveKind.GHZ), None), (None, 1)])
def test_attacks_and_seeds_are_refused_outside_the_lab(
    tmp_path: Path, eve: Eve | None, seed: int | None
) -> None:
    with pytest.raises(LabOnly) as raised:
        LinkService(tmp_path, IDEAL, eve=eve, seed=seed)
    assert raised.value.exit_code == 2


def test_a_missing_partner_is_a_named_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, IDEAL, partner_timeout_s=0.0):
            with pytest.raises(LinkTimeout, match="bob did not ask"):
                await LinkClient(folder / "alice.sock").block(ticket(1), Protocol.E91, 10, ALICE)

    asyncio.run(scenario())


def test_a_served_ticket_and_a_block_too_large_are_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, IDEAL):
            await both(folder, 1)
            client = LinkClient(folder / "bob.sock")
            with pytest.raises(LinkRefused) as spent:
                await client.block(ticket(1), Protocol.E91, 2_000, BOB)
            assert spent.value.refusal is Refusal.SPENT
            with pytest.raises(LinkRefused) as large:
                await client.block(ticket(2), Protocol.E91, 2**26, BOB)
            assert large.value.refusal is Refusal.TOO_LARGE

    asyncio.run(scenario())


async def until_waiting(service: LinkService, number: int) -> None:
    while service.waiting != number:
        await asyncio.sleep(0)


def test_a_client_that_leaves_takes_its_request_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, IDEAL) as service:
            client = LinkClient(folder / "alice.sock")
            leaving = asyncio.create_task(client.block(ticket(1), Protocol.E91, 10, ALICE))
            await until_waiting(service, 1)
            leaving.cancel()
            await until_waiting(service, 0)
            await both(folder, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"", b"\xc1", encode(Prepared()), b"x" * 2_000])
def test_malformed_bytes_end_their_connection_only(tmp_path: Path, body: bytes) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, IDEAL, lab=True):
            for name in ("alice", "bob", "control"):
                reader, writer = await asyncio.open_unix_connection(folder / f"{name}.sock")
                await write_frame(writer, body)
                with pytest.raises(ConnectionEnded):
                    await read_frame(reader, 1024)
                writer.close()
            await both(folder, 1)

    asyncio.run(scenario())


def test_a_client_that_speaks_out_of_turn_is_cut_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, IDEAL):
            reader, writer = await asyncio.open_unix_connection(folder / "alice.sock")
            request = encode(BlockRequest(ticket(1), Protocol.E91, 10, ALICE))
            await write_frame(writer, request)
            await write_frame(writer, request)
            with pytest.raises(ConnectionEnded):
                await read_frame(reader, 1024)
            writer.close()

    asyncio.run(scenario())


def test_a_failed_simulation_is_told_and_the_link_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> tuple[Half, Half]:
        raise MemoryError

    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, IDEAL):
            with monkeypatch.context() as patch:
                patch.setattr(service_module, "simulate", fails)
                with pytest.raises(LinkRefused, match="MemoryError"):
                    await both(folder, 1)
            await both(folder, 2)

    asyncio.run(scenario())


def test_a_client_finds_a_link_that_was_restarted(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        client = LinkClient(folder / "alice.sock")
        async with LinkService(folder, IDEAL):
            await both(folder, 1)
        with pytest.raises(LinkUnreachable) as raised:
            await client.block(ticket(2), Protocol.E91, 10, ALICE)
        assert raised.value.exit_code == 4
        async with LinkService(folder, IDEAL):
            await asyncio.gather(
                client.block(ticket(3), Protocol.E91, 10, ALICE),
                LinkClient(folder / "bob.sock").block(ticket(3), Protocol.E91, 10, BOB),
            )

    asyncio.run(scenario())


def test_a_waiting_client_hears_of_a_link_that_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        service = LinkService(folder, IDEAL)
        await service.start()
        client = LinkClient(folder / "alice.sock")
        waiting = asyncio.create_task(client.block(ticket(1), Protocol.E91, 10, ALICE))
        await until_waiting(service, 1)
        await service.close()
        with pytest.raises(LinkUnreachable):
            await waiting
        await service.close()

    asyncio.run(scenario())


def test_a_second_link_in_the_folder_is_refused_and_the_first_lives(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        async with LinkService(folder, IDEAL):
            with pytest.raises(RunDirTaken, match="got one that runs there") as raised:
                await LinkService(folder, IDEAL).start()
            assert raised.value.exit_code == 2
            await both(folder, 1)

    asyncio.run(scenario())


def test_a_left_over_socket_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        folder.mkdir(mode=0o700)
        for side in Side:
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(socket_path(folder, side)))
        async with LinkService(folder, IDEAL):
            await both(folder, 1)

    asyncio.run(scenario())


def test_somebody_elses_socket_or_file_is_left_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        folder.mkdir(mode=0o700)
        path = socket_path(folder, Side.BOB)
        with socket.socket(socket.AF_UNIX) as alive:
            alive.bind(str(path))
            alive.listen()
            with pytest.raises(SocketUnusable):
                await LinkService(folder, IDEAL).start()
            assert [entry.name for entry in folder.iterdir()] == ["bob.sock"]
        path.unlink()
        path.write_text("mine")
        with pytest.raises(SocketUnusable):
            await LinkService(folder, IDEAL).start()
        assert path.read_text() == "mine"

    asyncio.run(scenario())


def test_a_folder_open_to_others_or_no_folder_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        folder.chmod(0o755)
        with pytest.raises(PathExposed, match=r"\(0700\), got 0755"):
            await LinkService(folder, IDEAL).start()
        file = tmp_path / "file"
        file.write_text("")
        with pytest.raises(PathUnusable, match="Not a directory"):
            await LinkService(file, IDEAL).start()

    asyncio.run(scenario())


def test_a_client_checks_its_request_before_it_asks(tmp_path: Path) -> None:
    async def scenario() -> None:
        client = LinkClient(tmp_path / "none.sock")
        with pytest.raises(ParameterError, match="ticket of 16 bytes, got 15"):
            await client.block(bytes(15), Protocol.E91, 10, ALICE)
        with pytest.raises(ParameterError, match="pulses"):
            await client.block(bytes(16), Protocol.E91, 0, ALICE)
        with pytest.raises(ValueError, match="32 bytes"):
            await client.block(bytes(16), Protocol.E91, 10, ALICE[1:])

    asyncio.run(scenario())


def test_a_link_that_misbehaves_is_not_believed(tmp_path: Path) -> None:
    def always(body: bytes) -> Callable[[bytes], Awaitable[bytes]]:
        async def answer(_: bytes) -> bytes:
            return body

        return answer

    async def scenario() -> None:
        path = tmp_path / "alice.sock"
        for body in (b"\xc1", encode(Prepared())):
            async with LocalServer(path, always(body), request_limit=1024):
                with pytest.raises(LinkMisbehaved):
                    await LinkClient(path).block(ticket(1), Protocol.E91, 10, ALICE)
        async with LocalServer(path, always(b"x" * 2_000), request_limit=1024):
            with pytest.raises(LinkMisbehaved, match="too long"):
                await ControlClient(path).link()

    asyncio.run(scenario())


def test_a_link_that_never_answers_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "alice.sock"

        async def never(_: bytes) -> bytes:
            await asyncio.Event().wait()
            raise AssertionError

        async with LocalServer(path, never, request_limit=1024, withdraw=True):
            with pytest.raises(LinkTimeout):
                await LinkClient(path, timeout_s=0.05).block(ticket(1), Protocol.E91, 10, ALICE)

    asyncio.run(scenario())


def test_an_impossible_eve_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "run"
        axes = Axes((1.0,))
        # An honest client cannot make these; it is what a careless one would send.
        object.__setattr__(axes, "angles", (float("inf"),))
        async with LinkService(folder, IDEAL, lab=True):
            control = ControlClient(folder / "control.sock")
            with pytest.raises(LinkRefused, match="Eve's axes") as raised:
                await control.set_eve(Eve(EveKind.GHZ, 0.5, axes))
            assert raised.value.refusal is Refusal.PARAMETER
            assert (await control.link()).eve is None

    asyncio.run(scenario())
