"""A handshake belongs to what carries it: over another transport it does not succeed."""

import pytest
from tests.channel.pair import CLOUD, DEVICE, NAME, SOURCE, Pair

from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.handshake import Gate, Policy, Resumer, ResumptionResponder, Retry
from bellwire.channel.messages import Transport
from bellwire.channel.options import SessionOptions


@pytest.mark.parametrize("one", Transport)
@pytest.mark.parametrize("other", Transport)
def test_ends_agree_only_on_one_transport(one: Transport, other: Transport) -> None:
    device = Pair(options=SessionOptions(transport=one))
    cloud = Pair(options=SessionOptions(transport=other))
    if one is other:
        device.establish(cloud.answer(device.initiator.hello()))
        return
    with pytest.raises(HandshakeFailed, match="public key"):
        cloud.answer(device.initiator.hello())


@pytest.mark.parametrize("over", Transport)
@pytest.mark.parametrize("at_responder", [Transport.STREAM, Transport.UDP])
def test_a_ticket_serves_over_any_transport_and_its_handshake_over_one(
    over: Transport, at_responder: Transport
) -> None:
    initiator, responder = Pair(policy=Policy.OFF, drawn=None).run()
    resumer = Resumer(
        ticket=initiator.ticket,
        own_public=DEVICE.public_bytes,
        responder_name=NAME,
        responder_public=CLOUD.public_bytes,
        policy=Policy.OFF,
        qkd=None,
        options=SessionOptions(transport=over),
    )
    hello = Gate(CLOUD.public_bytes).admit(resumer.hello(), SOURCE, 0.0)
    assert not isinstance(hello, Retry)
    end = ResumptionResponder(
        hello,
        responder.ticket,
        name=NAME,
        own_public=CLOUD.public_bytes,
        policy=Policy.OFF,
        options=SessionOptions(transport=at_responder),
    )
    if over is not at_responder:
        with pytest.raises(HandshakeFailed):
            end.receive_hello()
        return
    end.receive_hello()
    confirm, session = resumer.receive(end.answer(None))
    assert session is not None
    assert end.receive_confirmation(confirm).session_id == session.session_id
