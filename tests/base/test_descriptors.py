import resource

import pytest

from bellwire.base.descriptors import raise_limit


def test_the_limit_is_raised_as_far_as_it_goes_and_stays_when_it_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: asked.append(limits))
    assert raise_limit() == 4096
    assert asked == [(4096, 4096)]

    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_limit() == 1024


def test_no_limit_is_a_large_number(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda which: (endless, endless))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: None)
    assert raise_limit() > 10**9
