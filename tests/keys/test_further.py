"""What a process beside the node makes of the node's words, and of its silence."""

from dataclasses import replace

import msgspec
import pytest

from bellwire.keys.errors import LinkRed
from bellwire.keys.further import SILENT_S, NodeWord
from bellwire.keys.model import KeySourceKind
from bellwire.keys.sharing import Word
from bellwire.keys.status import Status, StatusView

GREEN = StatusView(
    status=Status.GREEN,
    reason="mean QBER 2.0%",
    qber=0.02,
    last_qber=0.02,
    last_chsh=None,
    since=1000.0,
    stale=False,
    history=(),
)
WORD = Word(
    kme="kme-a",
    source=KeySourceKind.SIMULATED,
    view=GREEN,
    met=True,
    peer="kme-b",
    saes=["b1"],
    epoch=0,
    confirmed=48,
)


class Now:
    def __init__(self) -> None:
        self.time = 50.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def now() -> Now:
    return Now()


def flows(node: NodeWord) -> bool:
    try:
        node.check_flow()
    except LinkRed:
        return False
    return True


def test_a_word_that_was_there_before_proves_no_node(now: Now) -> None:
    node = NodeWord(now)
    for _ in range(3):
        node.hear(7, WORD)
        assert node.word is None
        assert not flows(node)
        assert node.view().stale
    node.hear(8, WORD)
    assert node.word == WORD
    assert flows(node)


def test_after_three_seconds_of_silence_no_key_leaves_until_the_node_speaks_again(now: Now) -> None:
    node = NodeWord(now)
    node.hear(1, WORD)
    node.hear(2, WORD)
    now.time += SILENT_S
    assert flows(node)
    now.time += 0.01
    node.hear(2, WORD)
    assert not flows(node)
    view = node.view()
    assert (view.status, view.stale) == (Status.YELLOW, True)
    assert "not heard" in view.reason
    node.hear(3, WORD)
    assert flows(node)


def test_red_stops_keys_and_stays_red_in_silence(now: Now) -> None:
    node = NodeWord(now)
    node.hear(1, WORD)
    node.hear(2, msgspec.structs.replace(WORD, view=replace(GREEN, status=Status.RED)))
    assert not flows(node)
    now.time += 10 * SILENT_S
    assert node.view().status is Status.RED
