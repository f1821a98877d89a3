"""Cores that a process may use are those it is bound to, not those of the machine."""

import os

import pytest

from bellwire.base import cores


def test_a_process_that_is_bound_to_one_core_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {5}, raising=False)
    assert cores.available() == 1


def test_without_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cores.available() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.available() == 1
