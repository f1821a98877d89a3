"""Keys on a PKCS #11 token, which is SoftHSM's here: they leave it wrapped or not at all."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pkcs11
import pytest
from tests.crypto.kek.conftest import MODULE, PIN, Hsm, own

from bellwire.crypto.kek.errors import KekRefused, KekUnavailable, KekUnusable
from bellwire.crypto.kek.record import TokenKek
from bellwire.crypto.kek.sources import parse_source
from bellwire.crypto.kek.token import Token
from bellwire.crypto.kek.token_uri import TokenUri, parse_token_uri


def test_the_token_has_one_aes_key_that_cannot_leave_it(hsm: Hsm) -> None:
    secret, kek = hsm.source().new()
    assert isinstance(kek, TokenKek)
    library = pkcs11.lib(MODULE)
    try:
        with library.get_token(token_label="bellwire-test").open(user_pin=PIN) as session:
            (key,) = session.get_objects()
            assert key[pkcs11.Attribute.LABEL] == "kek"
            assert key[pkcs11.Attribute.ID].hex() == kek.key
            assert key[pkcs11.Attribute.VALUE_LEN] == 32
            says = {
                name: key[name]
                for name in (
                    pkcs11.Attribute.SENSITIVE,
                    pkcs11.Attribute.ALWAYS_SENSITIVE,
                    pkcs11.Attribute.NEVER_EXTRACTABLE,
                    pkcs11.Attribute.LOCAL,
                    pkcs11.Attribute.WRAP,
                    pkcs11.Attribute.UNWRAP,
                )
            }
            assert set(says.values()) == {True}
            for name in (
                pkcs11.Attribute.EXTRACTABLE,
                pkcs11.Attribute.ENCRYPT,
                pkcs11.Attribute.DECRYPT,
            ):
                assert key[name] is False
            with pytest.raises(pkcs11.exceptions.AttributeSensitive):
                _ = key[pkcs11.Attribute.VALUE]
    finally:
        pkcs11.unload(MODULE)
    assert secret.reveal().hex() not in kek.wrapped


def test_a_token_that_cannot_wrap_keeps_nothing(hsm: Hsm, monkeypatch: pytest.MonkeyPatch) -> None:
    # SoftHSM can, so it is asked for what it cannot.
    unknown = SimpleNamespace(AES_KEY_WRAP=pkcs11.Mechanism.BLOWFISH_CBC)
    with monkeypatch.context() as patch:
        patch.setattr(pkcs11, "Mechanism", unknown)
        with pytest.raises(KekUnavailable, match="expected the token to answer, got Mechanism"):
            hsm.source().new()
    library = pkcs11.lib(MODULE)
    try:
        with library.get_token(token_label="bellwire-test").open(user_pin=PIN) as session:
            assert list(session.get_objects()) == []
    finally:
        pkcs11.unload(MODULE)


def test_a_wrong_pin_is_refused_and_told_nowhere(hsm: Hsm) -> None:
    _, kek = hsm.source().new()
    wrong = hsm.source(pin="1234-5678")
    for step in (wrong.new, lambda: wrong.recover(kek)):
        with pytest.raises(KekRefused, match="to take the PIN, got PinIncorrect") as refused:
            step()
        assert "1234-5678" not in f"{refused.value} {refused.value.hint}"
    assert "1234-5678" not in repr(wrong)


def test_another_token_is_refused_and_a_missing_one_is_unavailable(hsm: Hsm) -> None:
    _, kek = hsm.source().new()
    hsm.add("other")
    with pytest.raises(KekRefused, match="on the token, got 0"):
        hsm.source("other").recover(kek)
    with pytest.raises(KekUnavailable, match="one token as the PKCS #11 URI describes it, got 0"):
        hsm.source("third").recover(kek)
    hsm.add("other")
    with pytest.raises(KekUnavailable, match="got 2"):
        hsm.source("other").recover(kek)


def test_a_changed_wrapped_key_does_not_open(hsm: Hsm) -> None:
    _, kek = hsm.source().new()
    assert isinstance(kek, TokenKek)
    for at in (0, 8, 39):
        spoilt = bytearray.fromhex(kek.wrapped)
        spoilt[at] ^= 1
        with pytest.raises(KekRefused, match="expected the secret and the wrapped key"):
            hsm.source().recover(msgspec.structs.replace(kek, wrapped=spoilt.hex()))


@pytest.mark.parametrize("module", ["/nowhere/lib.so", "/etc/passwd"])
def test_a_library_that_cannot_be_loaded_is_named(module: str, folder: Path) -> None:
    source = parse_source(f"pkcs11:token=x?module-path={module}&pin-source=/none", folder)
    with pytest.raises(KekUnusable, match=f"PKCS #11 library at {module}"):
        source.new()


def test_a_token_is_found_by_its_serial_and_maker_too(hsm: Hsm) -> None:
    shown = subprocess.run(
        ["softhsm2-util", "--show-slots"], check=True, capture_output=True, text=True
    ).stdout
    serial = next(
        line.split(":")[1].strip() for line in shown.splitlines() if "Serial number" in line
    )
    pin = own(hsm.folder / "pin", PIN)
    rest = f"?module-path={MODULE}&pin-source={pin}"
    maker = (
        f"pkcs11:serial={serial};manufacturer=SoftHSM%20project;model=SoftHSM%20v2;type=secret-key"
    )
    source = parse_source(maker + rest, hsm.folder)
    secret, kek = source.new()
    assert source.recover(kek) == secret
    stranger = parse_source(f"pkcs11:serial={serial};model=other{rest}", hsm.folder)
    with pytest.raises(KekUnavailable, match="got 0"):
        stranger.recover(kek)


def test_a_pin_that_is_no_text_is_refused(hsm: Hsm) -> None:
    pin = hsm.folder / "pin"
    own(pin, "")
    pin.write_bytes(b"\xff\xfe1")
    source = parse_source(
        f"pkcs11:token=bellwire-test?module-path={MODULE}&pin-source={pin}", hsm.folder
    )
    assert isinstance(source, Token)
    with pytest.raises(KekUnusable, match="a PIN in UTF-8"):
        source.new()


def test_a_uri_says_token_label_library_and_file_of_the_pin() -> None:
    text = "pkcs11:token=The%20token;object=a%3bb?module-path=/l.so&pin-source=file:/p%2fq"
    assert parse_token_uri(text) == TokenUri("/l.so", "The token", None, None, None, "a;b", "/p/q")
    assert parse_token_uri("pkcs11:serial=1?module-path=/l.so").label == "bellwire"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("pkcs11:", "token= or serial="),
        ("pkcs11:object=x?module-path=/l.so", "token= or serial="),
        ("pkcs11:token=x", "absolute path of the token's library"),
        ("pkcs11:token=x?module-path=l.so", "absolute path of the token's library"),
        ("pkcs11:token=x?module-path=/l.so&pin-source=p", "absolute path as pin-source"),
        ("pkcs11:token=x?module-path=/l.so&pin-source=|cmd", "absolute path as pin-source"),
        ("pkcs11:token=x?module-path=/l.so&pin-value=4711-SECRET", "expected no PIN in"),
        ("pkcs11:token=x;pin-value=4711-SECRET?module-path=/l.so", "expected no PIN in"),
        ("pkcs11:token=x;token=y?module-path=/l.so", "token once"),
        ("pkcs11:token=x;id=%00?module-path=/l.so", "got 'id'"),
        ("pkcs11:token=x;type=private?module-path=/l.so", "type=secret-key"),
        ("pkcs11:token=x%2?module-path=/l.so", "token=VALUE, percent-encoded"),
        ("pkcs11:token=x y?module-path=/l.so", "token=VALUE, percent-encoded"),
        ("pkcs11:token=?module-path=/l.so", "token=VALUE, percent-encoded"),
        ("pkcs11:token=x%00?module-path=/l.so", "token in UTF-8"),
        ("pkcs11:token=%ff?module-path=/l.so", "token in UTF-8"),
        ("pkcs11:token=" + "x" * 1025 + "?module-path=/l.so", "up to 1024 characters"),
        ("pkcs11:token=x?module-path=/l.so&module-name=y", "got 'module-name'"),
        ("pkcs11:token=x;;object=y?module-path=/l.so", "got ''"),
    ],
)
def test_a_uri_that_says_too_little_too_much_or_a_pin_is_refused(uri: str, told: str) -> None:
    with pytest.raises(KekUnusable) as refused:
        parse_token_uri(uri)
    assert told in str(refused.value)
    assert "SECRET" not in f"{refused.value} {refused.value.hint}"
