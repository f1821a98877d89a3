import pytest

from bellwire.chat.accounts import password


@pytest.fixture(autouse=True)
def light_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that take a millisecond; what they take in earnest has a test of its own."""
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    monkeypatch.setattr(password, "ITERATIONS", 1)
