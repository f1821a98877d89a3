"""Files between two messengers: whole, under the protection that is shown, and saved safely."""

import errno
import os
import random
import stat
from pathlib import Path

import pytest
from tests.chat.messenger.pairs import User, until
from tests.chat.messenger.servers import Link
from tests.chat.messenger.test_engine import comes_to, tell

from bellwire.chat.content import MAX_PADDED_BYTES
from bellwire.chat.errors import AttachmentUnusable, ChatMisuse
from bellwire.chat.messenger.views import AttachmentChanged, AttachmentState, Line, Mode
from bellwire.chat.pads import Policy


async def file_of(one: User, state: AttachmentState, *, ours: bool = False) -> Line:
    async def there() -> Line | None:
        found = [
            each
            for each in await one.lines()
            if each.ours is ours and each.attachment and each.attachment.state is state
        ]
        return found[0] if found else None

    return await until(there)


def written(folder: Path, name: str, size: int, seed: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(random.Random(seed).randbytes(size))
    return folder / name


def test_a_small_file_comes_under_pad_and_is_saved_for_its_owner_alone(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.POOL)
        await alice.messenger.set_policy(peer, Policy.REQUIRE)
        path = written(tmp_path / "home", "plan.pdf", MAX_PADDED_BYTES)
        await alice.messenger.attach(peer, path)
        line = await file_of(bob, AttachmentState.HERE)
        assert line.attachment is not None
        assert (line.text, line.attachment.size, line.attachment.chunked) == (
            "plan.pdf", MAX_PADDED_BYTES, False,
        )  # fmt: skip
        assert line.protection.is_one_time
        assert line.protection.pad_bytes > MAX_PADDED_BYTES
        folder = tmp_path / "saved"
        folder.mkdir()
        (folder / "plan.pdf").write_text("was here before")
        saved = await bob.messenger.save(await bob.peer(), line.message_id, folder)
        assert saved == folder / "plan (1).pdf"
        assert saved.read_bytes() == path.read_bytes()
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600
        assert sorted(each.name for each in folder.iterdir()) == ["plan (1).pdf", "plan.pdf"]
        assert (folder / "plan.pdf").read_text() == "was here before"
        with pytest.raises(AttachmentUnusable, match="saved already"):
            await bob.messenger.save(await bob.peer(), line.message_id, folder)
        await comes_to(alice, "delivered")

    tell(tmp_path, story)


def test_a_large_file_comes_in_chunks_its_key_under_pad_and_progress_is_told(
    tmp_path: Path,
) -> None:
    size = 2_000_000

    async def story(alice: User, bob: User, _: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        path = written(tmp_path / "home", "raw data.bin", size)
        sent = await alice.messenger.attach(peer, path)
        data = path.read_bytes()
        path.write_bytes(b"changed afterwards, which is nothing to the other side")
        await alice.messenger.send(peer, "words go in between")
        line = await file_of(bob, AttachmentState.HERE)
        assert line.attachment is not None
        assert line.attachment.chunked
        assert line.protection.is_one_time
        assert line.protection.pad_bytes < 200
        saved = await bob.messenger.save(await bob.peer(), line.message_id, tmp_path)
        assert saved.read_bytes() == data
        await file_of(alice, AttachmentState.HERE, ours=True)
        assert "words go in between" in await bob.texts()
        for one in (alice, bob):
            done = [
                each.line.attachment.done
                for each in one.told()
                if isinstance(each, AttachmentChanged) and each.line.attachment
            ]
            assert done == sorted(done)
            assert len(set(done)) > 3
            assert done[-1] == size
        with pytest.raises(ChatMisuse):
            await alice.messenger.edit(peer, sent.message_id, "other words")

    tell(tmp_path, story)


def test_what_is_too_large_or_no_plain_file_is_not_attached(tmp_path: Path) -> None:
    async def story(alice: User, _: User, __: Link) -> None:
        peer = await alice.peer()
        large = tmp_path / "large"
        with large.open("wb") as file:
            file.truncate((100 << 20) + 1)
        os.mkfifo(tmp_path / "pipe")
        for path in (large, tmp_path / "pipe", tmp_path, tmp_path / "missing"):
            with pytest.raises(AttachmentUnusable):
                await alice.messenger.attach(peer, path)
        with pytest.raises(AttachmentUnusable):
            await alice.messenger.attach(alice.messenger.me, large)
        assert await alice.lines() == []

    tell(tmp_path, story)


def test_a_file_that_is_taken_back_is_gone_at_both(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        peer = await alice.peer()
        path = written(tmp_path / "home", "secret.bin", 300_000)
        sent = await alice.messenger.attach(peer, path)
        line = await file_of(bob, AttachmentState.HERE)
        await alice.messenger.delete(peer, sent.message_id)

        async def gone() -> bool:
            return [each.attachment for each in await bob.lines()] == [None]

        await until(gone)
        with pytest.raises(AttachmentUnusable, match="none of theirs"):
            await bob.messenger.save(await bob.peer(), line.message_id, tmp_path)

    tell(tmp_path, story)


def test_where_files_have_no_second_name_they_are_saved_all_the_same_and_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_links(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "as a memory stick says")

    async def story(alice: User, bob: User, _: Link) -> None:
        path = written(tmp_path / "home", "plan.pdf", 100)
        await alice.messenger.attach(await alice.peer(), path)
        line = await file_of(bob, AttachmentState.HERE)
        monkeypatch.setattr(os, "link", without_links)
        folder = tmp_path / "stick"
        folder.mkdir()
        (folder / "plan.pdf").symlink_to(tmp_path / "elsewhere")
        peer = await bob.peer()
        with pytest.raises(AttachmentUnusable, match="there already"):
            await bob.messenger.save(peer, line.message_id, folder / "plan.pdf")
        saved = await bob.messenger.save(peer, line.message_id, folder)
        assert saved == folder / "plan (1).pdf"
        assert saved.read_bytes() == path.read_bytes()
        assert not (tmp_path / "elsewhere").exists()
        assert sorted(each.name for each in folder.iterdir()) == ["plan (1).pdf", "plan.pdf"]

    tell(tmp_path, story)
