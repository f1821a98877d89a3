"""A WireGuard tunnel whose pre-shared key comes from key servers by the how-to's script.

WireGuard's own program in user space runs at each end of a cable between two network namespaces. A
key at one end alone lets nothing through; once the script has given both ends the same ones,
packets pass.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.iot.cable import HERE, THERE, Cable, cable
from tests.patience import PATIENCE_S
from tests.simulators.kme import Vendor, vendor
from tests.test_vpn_scripts import environment, script

PORT = 51820
INNER = {"a": "10.79.0.1", "b": "10.79.0.2"}
NONE = "(none)"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("wg") is None or shutil.which("wireguard-go") is None,
    reason="needs root, wireguard-tools and wireguard-go",
)


@dataclass(frozen=True)
class End:
    """One end of the tunnel.

    Attributes:
        name: Of its interface.
        space: The namespace that it is in.
        outer: Address on the cable.
        inner: Address in the tunnel.
        private: File of its private key.
        public: Its public key.
    """

    name: str
    space: str
    outer: str
    inner: str
    private: Path
    public: str

    def shown(self, what: str) -> str:
        """What WireGuard says of its only peer."""
        return said("wg", "show", self.name, what).split("\t")[1].strip()


def said(*words: str, given: str | None = None) -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def end(which: str, space: str, outer: str, folder: Path) -> End:
    private = folder / f"{which}.wg"
    private.touch(mode=0o600)
    private.write_text(said("wg", "genkey"))
    public = said("wg", "pubkey", given=private.read_text()).strip()
    return End(f"bw{os.getpid():x}{which}", space, outer, INNER[which], private, public)


@contextlib.contextmanager
def tunnel(made: Cable, folder: Path) -> Iterator[tuple[End, End]]:
    """WireGuard at both ends, each the other's only peer, without a pre-shared key."""
    ends = end("a", made.device, HERE, folder), end("b", made.cloud, THERE, folder)
    with contextlib.ExitStack() as stack:
        for each in ends:
            process = made.start(each.space, "wireguard-go", "-f", each.name)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            stack.callback(Path(f"/var/run/wireguard/{each.name}.sock").unlink, missing_ok=True)
        for ours, theirs in (ends, ends[::-1]):
            until(Path(f"/var/run/wireguard/{ours.name}.sock").exists)
            said(
                *("wg", "set", ours.name, "private-key", str(ours.private)),
                *("listen-port", str(PORT), "peer", theirs.public),
                *("endpoint", f"{theirs.outer}:{PORT}", "allowed-ips", f"{theirs.inner}/32"),
            )
            made.run(ours.space, "ip", "addr", "add", f"{ours.inner}/24", "dev", ours.name)
            made.run(ours.space, "ip", "link", "set", ours.name, "up")
        yield ends


def passes(from_end: End, to_end: End) -> bool:
    """Whether one packet gets an answer through the tunnel."""
    words = ("busybox", "ping", "-c", "1", "-W", "2", to_end.inner)
    done = subprocess.run(
        ["ip", "netns", "exec", from_end.space, *words], capture_output=True, check=False
    )
    return done.returncode == 0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


def test_a_tunnel_opens_once_both_ends_have_the_keys_of_their_servers(tmp_path: Path) -> None:
    with (
        vendor(tmp_path / "vendor") as boxes,
        cable() as made,
        tunnel(made, tmp_path) as (a, b),
    ):
        alone = tmp_path / "alone.psk"
        alone.touch(mode=0o600)
        alone.write_text(said("wg", "genpsk"))
        said("wg", "set", a.name, "peer", b.public, "preshared-key", str(alone))
        assert not passes(a, b)
        assert (a.shown("latest-handshakes"), b.shown("preshared-keys")) == ("0", NONE)
        _rotate(boxes, tmp_path, a, b)
        keys = a.shown("preshared-keys"), b.shown("preshared-keys")
        assert keys[0] == keys[1]
        assert keys[0] not in {NONE, alone.read_text().strip()}
        until(lambda: passes(a, b))
        assert a.shown("latest-handshakes") != "0"


def _rotate(boxes: Vendor, folder: Path, a: End, b: End) -> None:
    """Two keys, one after the other, at both ends: the pipelines of the page."""
    rotate, ids = script(folder, "psk-rotate.sh"), folder / "ids"
    os.mkfifo(ids)

    def begin(
        sae: str, peer: str, url: str, ours: End, theirs: End, line: str
    ) -> "subprocess.Popen[bytes]":
        psk = folder / f"{sae}.psk"
        follow = (
            f'{sys.executable} -m bellwire keys follow --kme {url} --cert "$CERT" --key "$KEY" '
            f'--ca "$CA" --sae {peer} --number 2 --out {psk}'
        )
        install = f"wg set {ours.name} peer {theirs.public} preshared-key"
        return subprocess.Popen(
            ["sh", "-c", line.format(follow=follow, rotate=f"{rotate} {psk}")],
            env=environment(boxes, sae, SET=install),
        )

    both = [
        begin(
            *("sae-alice", "sae-bob", boxes.alice.url, a, b),
            f"{{follow}} --every 0.5 | {{rotate}} > {ids}",
        ),
        begin(
            *("sae-bob", "sae-alice", boxes.bob.url, b, a),
            f"{{follow}} --fetch < {ids} | {{rotate}}",
        ),
    ]
    try:
        assert [each.wait(PATIENCE_S) for each in both] == [0, 0]
    finally:
        for each in both:
            each.kill()
            each.wait()
