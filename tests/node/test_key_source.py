import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.channel.handshake import QkdKey
from bellwire.iot.errors import KeyRefused, KeyUnavailable
from bellwire.iot.keys import KeySource
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.errors import (
    DeliveryFailed,
    KeyGone,
    KeyNotReady,
    LinkRed,
    NodeUnreachable,
    NotEnoughKey,
)
from bellwire.keys.model import DeliveredKey, KeyId, KeySourceKind
from bellwire.node.key_source import NodeKeySource

KEY_ID = KeyId(bytes(range(16)))
DELIVERED = DeliveredKey(KEY_ID, Secret(b"k" * 32), KeySourceKind.SIMULATED)


class Node(DeliveryClient):
    """A node that answers as told, in this order."""

    def __init__(self, *answers: DeliveredKey | BellwireError) -> None:
        super().__init__(Path("unused"))
        self.answers = list(answers)

    async def draw(self, bits: int) -> DeliveredKey:
        assert bits == 256
        return self._answer()

    async def fetch(self, key_id: KeyId) -> DeliveredKey:
        assert key_id == KEY_ID
        return self._answer()

    def _answer(self) -> DeliveredKey:
        answer = self.answers.pop(0)
        if isinstance(answer, BellwireError):
            raise answer
        return answer


Ask = Callable[[KeySource], Awaitable[QkdKey]]


async def draw(source: KeySource) -> QkdKey:
    return await source.draw(256)


async def fetch(source: KeySource) -> QkdKey:
    return await source.fetch(KEY_ID.data)


@pytest.mark.parametrize("ask", [draw, fetch])
def test_a_node_s_key_comes_through_with_its_id_and_source(ask: Ask) -> None:
    key = asyncio.run(_run(ask, NodeKeySource(Node(DELIVERED))))
    assert (key.key_id, key.key, key.source) == (
        KEY_ID.data,
        Secret(b"k" * 32),
        "simulated",
    )


@pytest.mark.parametrize(
    ("ask", "said", "raised"),
    [
        (draw, LinkRed("the link is RED: S is 1.41"), KeyRefused),
        (draw, NotEnoughKey(256, 0), KeyUnavailable),
        (draw, NodeUnreachable("no answer"), KeyUnavailable),
        (draw, DeliveryFailed("the node failed"), KeyUnavailable),
        (fetch, LinkRed("the link is RED: S is 1.41"), KeyRefused),
        (fetch, KeyGone(str(KEY_ID), "it left"), KeyRefused),
        (fetch, KeyNotReady(str(KEY_ID)), KeyUnavailable),
        (fetch, NodeUnreachable("no answer"), KeyUnavailable),
        (fetch, DeliveryFailed("the node failed"), KeyUnavailable),
    ],
)
def test_a_node_s_errors_are_put_in_the_channel_s_words(
    ask: Ask, said: BellwireError, raised: type[BellwireError]
) -> None:
    with pytest.raises(raised) as caught:
        asyncio.run(_run(ask, NodeKeySource(Node(said), ready_within_s=0.0)))
    assert str(caught.value) == str(said)
    assert caught.value.hint == said.hint


async def _run(ask: Ask, source: KeySource) -> QkdKey:
    return await ask(source)


def test_a_key_that_is_not_ready_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellwire.node.key_source.ASK_AGAIN_S", 0.0)
    not_ready = KeyNotReady(str(KEY_ID))
    node = Node(not_ready, not_ready, DELIVERED)
    key = asyncio.run(_run(fetch, NodeKeySource(node, ready_within_s=60.0)))
    assert key.key_id == KEY_ID.data
    assert node.answers == []


def test_what_is_no_key_id_is_refused() -> None:
    async def work() -> None:
        await NodeKeySource(Node()).fetch(bytes(15))

    with pytest.raises(KeyRefused):
        asyncio.run(work())
