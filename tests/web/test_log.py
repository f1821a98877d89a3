"""A log over HTTP: everybody reads it, its writers write to it, and nobody else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from tests.ledger.store.logs import batch, entry
from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.ledger.checkpoint import parse_checkpoint
from bellwire.ledger.note import parse_note
from bellwire.ledger.policy import of_witnesses, verify_checkpoint
from bellwire.ledger.proving import Prover
from bellwire.ledger.service.service import LogService
from bellwire.ledger.service.signer import LogSigner, open_identity
from bellwire.ledger.service.writers import Writers
from bellwire.ledger.store.errors import LogStoreError
from bellwire.ledger.store.store import LogStore
from bellwire.ledger.tiles import join_bundle, split_bundle
from bellwire.ledger.tree import leaf_hash
from bellwire.web.api import ApiServer
from bellwire.web.log import LOG_LIMITS, LogApi

TOKENS = {"site-a": "a" * 64, "site-b": "b" * 64}


class Running:
    """A log that serves, and a client of it."""

    def __init__(self, service: LogService, client: httpx.AsyncClient) -> None:
        self.service = service
        self.client = client

    async def add(self, entries: list[bytes], token: str = TOKENS["site-a"]) -> httpx.Response:
        return await self.client.post(
            "/add",
            content=join_bundle(entries),
            headers={"authorization": f"Bearer {token}"} if token else {},
        )

    async def signed(self, size: int) -> bytes:
        """The checkpoint, once it has so many entries."""
        async with asyncio.timeout(PATIENCE_S):
            while (note := self.service.note) is None or parse_checkpoint(note.text).size < size:
                await asyncio.sleep(0.005)
        return (await self.client.get("/checkpoint")).content


@contextlib.asynccontextmanager
async def running(folder: Path, tokens: Mapping[str, str] = TOKENS) -> AsyncIterator[Running]:
    async with contextlib.AsyncExitStack() as stack:
        store = LogStore(folder / "log")
        stack.callback(store.close)
        identity = open_identity(folder / "signer", "log.example/one")
        signer = LogSigner(folder / "signer", identity, store.head, Prover(store.tile).root)
        service = LogService(store, signer, lambda: 1_800_000_000.0, every_s=0.01)
        stack.push_async_callback(service.close)
        writers = Writers({name: Secret(each.encode()) for name, each in tokens.items()})
        server = ApiServer(LogApi(service, writers).answer, LOG_LIMITS)
        stack.push_async_callback(server.stop, 5.0)
        host, port = await server.start("127.0.0.1", 0, None)
        signing = asyncio.create_task(service.run())

        async def end() -> None:
            signing.cancel()
            await asyncio.gather(signing, return_exceptions=True)

        stack.push_async_callback(end)
        client = httpx.AsyncClient(
            base_url=f"http://{host}:{port}", trust_env=False, timeout=PATIENCE_S
        )
        await stack.enter_async_context(client)
        yield Running(service, client)


def test_what_writers_bring_is_signed_and_served_as_tiles(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as log, asyncio.timeout(PATIENCE_S):
            entries = list(batch(1, 300).entries)
            assert (await log.add(entries[:256])).json() == {"numbers": list(range(256))}
            assert (await log.add(entries[256:])).json() == {"numbers": list(range(256, 300))}
            note = parse_note(await log.signed(300))
            for key in log.service.signer.identity.keys:
                found = verify_checkpoint(note, of_witnesses([key], (), 0)).checkpoint
                assert (found.size, found.root) == (300, log.service.store.head.root)
            tile = await log.client.get("/tile/0/001.p/44")
            assert tile.content == b"".join(map(leaf_hash, entries[256:]))
            assert tile.headers["content-type"] == "application/octet-stream"
            assert "immutable" in tile.headers["cache-control"]
            bundle = await log.client.get("/tile/entries/000")
            assert split_bundle(bundle.content, 256) == entries[:256]
            narrow = await log.client.get("/tile/0/000.p/7")
            assert narrow.content == b"".join(map(leaf_hash, entries[:7]))
            shown = await log.client.get("/checkpoint")
            assert shown.headers["content-type"].startswith("text/plain")
            assert (await log.client.head("/tile/0/000")).content == b""

    asyncio.run(story())


def test_writers_that_write_at_once_share_commits_and_keep_their_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as log, asyncio.timeout(PATIENCE_S):
            brought = [
                log.service.add(name, batch(first, 5, name).entries)
                for first in range(1, 101, 5)
                for name in TOKENS
            ]
            numbers = await asyncio.gather(*brought)
            assert sorted(n for each in numbers for n in each) == list(range(200))
            assert (await log.add(list(batch(96, 5).entries))).json()["numbers"] == list(
                numbers[-2]
            )

    asyncio.run(story())


@pytest.mark.parametrize("token", ["", "c" * 64, "a" * 63, "A" * 64])
def test_who_is_no_writer_writes_nothing(tmp_path: Path, token: str) -> None:
    async def story() -> None:
        async with running(tmp_path) as log, asyncio.timeout(PATIENCE_S):
            refused = await log.add([entry(1)], token)
            assert refused.status_code == 401
            assert "a" * 20 not in refused.text
            assert log.service.store.head.size == 0

    asyncio.run(story())


def test_what_is_no_batch_of_the_writer_is_refused_and_nothing_of_it_is_kept(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with running(tmp_path) as log, asyncio.timeout(PATIENCE_S):
            assert (await log.add([entry(1)])).status_code == 200
            other = entry(1, reason="another")
            cases: list[tuple[list[bytes], int]] = [
                ([], 422),
                ([b"{}"], 422),
                ([entry(2), b" " + entry(3)], 422),
                ([entry(2), entry(4)], 422),
                ([entry(2), entry(3, epoch="f" * 16)], 422),
                ([entry(i) for i in range(2, 259)], 422),
                ([entry(2), entry(3, "site-b")], 403),
                ([entry(3)], 409),
                ([other, entry(2)], 409),
            ]
            for entries, code in cases:
                refused = await log.add(entries)
                assert refused.status_code == code, refused.text
                assert refused.json()["message"]
            gap = (await log.add([entry(7)])).json()
            assert gap["details"] == [{"expected": 2}]
            taken = (await log.add([other])).json()
            assert taken["details"] == [{"taken": True}]
            for content in (b"\0", b"\xff\xff", b"\0\x05abc"):
                cut = await log.client.post(
                    "/add", content=content, headers={"authorization": "Bearer " + "a" * 64}
                )
                assert cut.status_code == 422
            assert log.service.store.head.size == 1

    asyncio.run(story())


@pytest.mark.parametrize(
    ("verb", "path", "code"),
    [
        ("GET", "/tile/0/000", 404),
        ("GET", "/tile/0/0", 404),
        ("GET", "/tile/entries/../../signer/log.key", 404),
        ("GET", "/tile/entries/x001/000", 404),
        ("GET", "/tile/63/000", 404),
        ("GET", "/", 404),
        ("POST", "/checkpoint", 405),
        ("GET", "/add", 405),
        ("DELETE", "/tile/0/000", 405),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    tmp_path: Path, verb: str, path: str, code: int
) -> None:
    async def story() -> None:
        async with running(tmp_path) as log, asyncio.timeout(PATIENCE_S):
            refused = await log.client.request(verb, path)
            assert refused.status_code == code
            assert refused.json()["message"]

    asyncio.run(story())


def test_a_store_that_fails_is_said_and_entries_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with running(tmp_path) as log, asyncio.timeout(PATIENCE_S):

            def full(_: object) -> None:
                raise LogStoreError("disk full")

            with monkeypatch.context() as patch:
                patch.setattr(log.service.store, "append", full)
                assert (await log.add([entry(1)])).status_code == 503
            assert (await log.add([entry(1)])).json() == {"numbers": [0]}

    asyncio.run(story())
