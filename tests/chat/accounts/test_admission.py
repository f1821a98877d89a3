"""Who may have a new handle at the relay that `bellwire relay` runs."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.chat.accounts.people import ALICE, BOB, secret
from tests.chat.relay.running import Process, run
from tests.patience import PATIENCE_S

from bellwire.chat.accounts.admission import invitations_in, read_invitation
from bellwire.chat.accounts.client import AccountClient
from bellwire.chat.accounts.fields import AccountReason
from bellwire.chat.errors import AccountRefused, ChatMisuse, StoreUnusable
from bellwire.chat.identity import Identity

ONE, TWO = "ab" * 16, "CD" * 16


def given_out(path: Path, lines: Sequence[str]) -> Path:
    path.touch(0o600)
    path.write_text("\n".join(lines))
    return path


async def sign_up(
    relay: Process, handle: str, who: Identity, invitation: str | None = None
) -> AccountReason | None:
    code = None if invitation is None else read_invitation(invitation)
    async with await AccountClient.connect(relay.url) as client:
        try:
            await client.sign_up(handle, secret(), who, "laptop", code)
        except AccountRefused as refused:
            return AccountReason(refused.reason)
    return None


def test_an_invitation_serves_once_and_those_of_the_file_count_while_the_relay_runs(
    tmp_path: Path,
) -> None:
    file = given_out(tmp_path / "invitations", [ONE, ""])
    options = ("--sign-up", "invited", "--invitations", str(file))
    relay = Process(tmp_path / "relay", 0, *options)

    async def story() -> None:
        assert await sign_up(relay, "alice", ALICE) == AccountReason.UNINVITED
        assert await sign_up(relay, "alice", ALICE, TWO) == AccountReason.UNINVITED
        assert await sign_up(relay, "alice", ALICE, ONE) is None
        # Who heard no answer asks again, and needs no other invitation.
        assert await sign_up(relay, "alice", ALICE, ONE) is None
        assert await sign_up(relay, "bobby", BOB, ONE) == AccountReason.UNINVITED
        given_out(file, [ONE, TWO.lower()])
        # A name that is not to be had uses no invitation up.
        assert await sign_up(relay, "al1ce", BOB, TWO) == AccountReason.TAKEN
        assert await sign_up(relay, "bobby", BOB, TWO) is None
        file.unlink()
        assert await sign_up(relay, "carol", BOB, "00" * 16) == AccountReason.FAILED

    try:
        run(story())
    finally:
        relay.stop()
    relay = Process(tmp_path / "relay", 0, "--sign-up", "closed")

    async def closed() -> None:
        assert await sign_up(relay, "carol", BOB, "00" * 16) == AccountReason.CLOSED
        async with await AccountClient.connect(relay.url) as client:
            await client.log_in("alice", secret(), "laptop")

    try:
        run(closed())
    finally:
        relay.stop()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sign-up", "sometimes"), "expected open, invited or closed"),
        (("--sign-up", "invited"), "expected --invitations together"),
        (("--invitations", "x"), "expected --invitations together"),
        (("--sign-up", "invited", "--invitations", "x"), "got no file"),
    ],
)
def test_a_switch_that_is_wrong_is_said_before_the_relay_listens(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "bellwire", "relay", "--listen", "127.0.0.1:0",
            "--state", tmp_path / "relay", *options,
        ],
        capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_a_file_of_invitations_that_others_read_or_that_has_something_else_is_refused(
    tmp_path: Path,
) -> None:
    file = given_out(tmp_path / "invitations", [ONE, "a code"])
    with pytest.raises(StoreUnusable, match="32 hexadecimal digits"):
        invitations_in(file)
    given_out(file, [ONE]).chmod(0o644)
    with pytest.raises(StoreUnusable):
        invitations_in(file)
    with pytest.raises(ChatMisuse):
        read_invitation("ab" * 15)
