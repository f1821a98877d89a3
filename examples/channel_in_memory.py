"""The hybrid channel without a socket: its two ends take and give bytes, and you carry them.

    python examples/channel_in_memory.py

X25519 and ML-KEM-768, and no QKD key here; with a node beside, `Policy.REQUIRE` and the key that
its KME gave go in, and nothing else changes.
"""

from bellwire.channel.handshake import Gate, Initiator, Policy, Responder, Retry, fingerprint
from bellwire.crypto.kem import XWingPrivateKey


def main() -> None:
    """Shake hands, send one message each way."""
    device, cloud = XWingPrivateKey.generate(), XWingPrivateKey.generate()
    admitted = {fingerprint(device.public_bytes): device.public_bytes}  # whom the cloud takes

    calling = Initiator(
        identity=device,
        responder_name="cloud.example",
        responder_public=cloud.public_bytes,  # pinned: brought to the device beforehand
        policy=Policy.OFF,
        qkd=None,
        counter=1,  # keep it: the next handshake needs a higher one, also after a restart
    )
    called = Responder(
        identity=cloud,
        name="cloud.example",
        initiators=admitted.get,
        policy=Policy.OFF,
        last_counter=lambda _fingerprint: 0,  # of the last handshake; keep it as well
    )

    hello = Gate(cloud.public_bytes).admit(calling.hello(), source="192.0.2.7", now=0.0)
    assert not isinstance(hello, Retry), "only a cloud under load asks to come again"
    called.receive_hello(hello)
    confirmation, at_device = calling.receive(called.answer(None))
    assert at_device is not None, "the cloud refused"
    at_cloud = called.receive_confirmation(confirmation)

    record = at_device.seal(b"21.5 degrees")
    print(f"{len(record)} bytes on the wire, {record[-12:].hex()} at their end")
    print("the cloud reads", at_cloud.open(record))
    print("the device reads", at_device.open(at_cloud.seal(b"thank you")))


if __name__ == "__main__":
    main()
