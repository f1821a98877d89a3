import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.iot.doubles import CLOUD, DEVICE, DEVICE_KEY, STRANGER_KEY

from bellwire.base.private import PathExposed, PathUnusable
from bellwire.iot import enrolment
from bellwire.iot.errors import IdentityError
from bellwire.iot.identity import (
    SEED_FILE,
    AllowList,
    PublicIdentity,
    load_or_create,
    read_public,
    write_public,
)


def test_an_identity_is_made_once_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    folder = tmp_path / "device"
    key = load_or_create(folder)
    assert load_or_create(folder).public_bytes == key.public_bytes
    assert (folder / SEED_FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == [SEED_FILE]


def test_an_identity_that_others_may_read_is_refused(tmp_path: Path) -> None:
    load_or_create(tmp_path / "device")
    (tmp_path / "device" / SEED_FILE).chmod(0o640)
    with pytest.raises(PathExposed, match="0640") as caught:
        load_or_create(tmp_path / "device")
    assert caught.value.exit_code == 3
    (tmp_path / "device").chmod(0o750)
    with pytest.raises(PathExposed, match="0750"):
        load_or_create(tmp_path / "device")


def test_a_damaged_identity_is_refused(tmp_path: Path) -> None:
    load_or_create(tmp_path / "device")
    seed = tmp_path / "device" / SEED_FILE
    seed.write_bytes(b"short")
    with pytest.raises(IdentityError, match="32 bytes"):
        load_or_create(tmp_path / "device")
    seed.unlink()
    seed.mkdir()
    with pytest.raises(PathExposed, match="plain file"):
        load_or_create(tmp_path / "device")


def test_a_state_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PathUnusable, match="Not a directory"):
        load_or_create(tmp_path / "file" / "device")


def test_public_keys_survive_their_file(tmp_path: Path) -> None:
    for identity in (DEVICE, CLOUD):
        write_public(tmp_path / "key.pub", identity)
        assert read_public(tmp_path / "key.pub", identity.role) == identity
    assert "1216" not in repr(DEVICE)
    assert len(repr(DEVICE)) < 80


def test_a_key_of_the_other_role_is_refused(tmp_path: Path) -> None:
    write_public(tmp_path / "key.pub", CLOUD)
    with pytest.raises(IdentityError, match="got a cloud's"):
        read_public(tmp_path / "key.pub", "device")


@pytest.mark.parametrize("name", ["", "n" * 61])
def test_names_are_bounded(tmp_path: Path, name: str) -> None:
    with pytest.raises(IdentityError, match="1 to 60"):
        write_public(tmp_path / "key.pub", PublicIdentity("device", name, DEVICE.public))


def test_malformed_key_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pub"
    write_public(path, DEVICE)
    good = json.loads(path.read_bytes())
    out_of_range = "/" * len(good["public"])
    changes = ({"public": "AAAA"}, {"kem": "RSA"}, {"extra": 1}, {"public": out_of_range})
    for content in [b"", b"not json", *(json.dumps(good | c).encode() for c in changes)]:
        path.write_bytes(content)
        with pytest.raises(IdentityError, match="expected the public key of a device"):
            read_public(path, "device")
    with pytest.raises(IdentityError, match="No such file") as caught:
        read_public(tmp_path / "missing.pub", "cloud")
    assert caught.value.hint is not None


def test_the_allow_list_follows_its_folder(tmp_path: Path) -> None:
    allowed = AllowList(tmp_path / "allowed")
    assert allowed.load() == {}
    write_public(tmp_path / "allowed" / "one.pub", DEVICE)
    (tmp_path / "allowed" / "two.pub").write_bytes(b"rubbish")
    (tmp_path / "allowed" / "notes.txt").write_bytes(b"not a key")
    assert allowed.load() == allowed.load() == {DEVICE.fingerprint: DEVICE}
    assert list(allowed.refused) == [tmp_path / "allowed" / "two.pub"]
    other = PublicIdentity("device", "other", STRANGER_KEY.public_bytes)
    write_public(tmp_path / "allowed" / "two.pub", other)
    (tmp_path / "allowed" / "one.pub").unlink()
    assert allowed.load() == {other.fingerprint: other}
    assert allowed.refused == {}
    (tmp_path / "allowed" / "gone.pub").symlink_to(tmp_path / "nowhere")
    assert allowed.load() == {other.fingerprint: other}
    assert "No such file" in allowed.refused[tmp_path / "allowed" / "gone.pub"]


def test_threads_that_ask_at_once_all_get_what_is_there(tmp_path: Path) -> None:
    """A device must not be turned away because others connect in the same moment."""
    folder = tmp_path / "allowed"
    for _ in range(20):
        allowed = AllowList(folder)
        write_public(folder / "one.pub", DEVICE)
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(allowed.load) for _ in range(8)]
        assert [each.result() for each in asked] == [{DEVICE.fingerprint: DEVICE}] * 8


def test_a_file_that_is_changed_in_place_counts_within_a_second(tmp_path: Path) -> None:
    folder, now = tmp_path / "allowed", [1e9]
    allowed = AllowList(folder, clock=lambda: now[0])
    path = folder / "one.pub"
    write_public(path, DEVICE)
    os.utime(folder, (1e9 - 10, 1e9 - 10))
    assert allowed.load() == {DEVICE.fingerprint: DEVICE}
    path.write_bytes(b"rubbish")
    assert allowed.load() == {DEVICE.fingerprint: DEVICE}
    now[0] += 1.0
    assert allowed.load() == {}
    path.unlink()
    write_public(path, DEVICE)
    assert allowed.load() == {DEVICE.fingerprint: DEVICE}, "what comes counts at once"


def test_enrolment_exchanges_the_public_keys(tmp_path: Path) -> None:
    AllowList(tmp_path / "allowed")
    done = enrolment.enroll(
        tmp_path / "device",
        enrolment.own_key(tmp_path / "device"),
        CLOUD,
        name="thermometer",
        allow=tmp_path / "allowed",
        replace=False,
    )
    identity, pin = enrolment.load(tmp_path / "device")
    assert pin == done.cloud == CLOUD
    assert done.admitted is not None
    for path in (done.public_key, done.admitted):
        assert read_public(path, "device").public == identity.public_bytes
    assert AllowList(tmp_path / "allowed").load() == {done.device.fingerprint: done.device}


def test_another_cloud_takes_the_pin_only_when_told(tmp_path: Path) -> None:
    def enroll(cloud: PublicIdentity, *, replace: bool = False) -> enrolment.Enrolment:
        return enrolment.enroll(
            tmp_path / "device",
            enrolment.own_key(tmp_path / "device"),
            cloud,
            name="d",
            allow=None,
            replace=replace,
        )

    other = PublicIdentity("cloud", "other", STRANGER_KEY.public_bytes)
    first = enroll(CLOUD)
    assert first.admitted is None
    assert enroll(CLOUD).device == first.device
    with pytest.raises(IdentityError, match="got another") as caught:
        enroll(other)
    assert "--replace" in (caught.value.hint or "")
    assert enroll(other, replace=True).device == first.device
    assert enrolment.load(tmp_path / "device")[1] == other


def test_a_device_that_is_not_enrolled_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="enrolled") as caught:
        enrolment.load(tmp_path / "device")
    assert "device enroll" in (caught.value.hint or "")


def test_identities_in_memory_do_not_show_their_seed() -> None:
    assert DEVICE_KEY.seed.reveal().hex() not in repr(DEVICE_KEY) + repr(DEVICE)
