"""Whatever reads bytes or words from outside: each says what it read, or raises a named error."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bellwire.admission import evidence
from bellwire.admission import model as assessor
from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError
from bellwire.base.protocols import Protocol
from bellwire.channel import certificates, fragments, places
from bellwire.channel import messages as channel
from bellwire.channel.messages import OFFER_BYTES
from bellwire.chat import attachment, card, content, roster, session
from bellwire.chat.accounts import admission as invitations
from bellwire.chat.accounts import answers as account_answers
from bellwire.chat.accounts import requests as account_requests
from bellwire.chat.messenger import home
from bellwire.chat.relay import frames, ladder
from bellwire.chat.store import offers
from bellwire.chat.transfer import code as transfer_code
from bellwire.chat.transfer import records
from bellwire.cli import addresses, destinations
from bellwire.cli.chat_screen import commands
from bellwire.console import sealed
from bellwire.console import status as console_status
from bellwire.crypto.composite import CompositeKey
from bellwire.crypto.ed25519 import Ed25519Key
from bellwire.crypto.kek import record, sources, token_uri
from bellwire.crypto.signatures import SigningKey, fingerprint
from bellwire.distill import announcements
from bellwire.distill import messages as distilling
from bellwire.etsi014 import messages as etsi014
from bellwire.etsi014 import profile
from bellwire.guard import messages as guard
from bellwire.guard import scope, signed
from bellwire.iot import code as enrolment_code
from bellwire.iot import enrol_messages, readings
from bellwire.iot import messages as device
from bellwire.iot.outputs import place
from bellwire.keys import messages as key_socket
from bellwire.keys.kme import Limits
from bellwire.keys.model import KeyId
from bellwire.keys.peering import messages as peering
from bellwire.lab import engines, middle, monitors
from bellwire.lab.compare import read as read_configuration
from bellwire.lab.sweep import Axis
from bellwire.ledger import checkpoint, note, policy, receipt, tiles, verifier_keys
from bellwire.ledger.anchors import anchor, evm, hive
from bellwire.ledger.entries import codec
from bellwire.ledger.witness import submission
from bellwire.link import attacks, click_stream, eve, weak
from bellwire.link import messages as link
from bellwire.link.timetags import messages as timetags
from bellwire.link.timetags import reader, recording
from bellwire.network import deposit, hop, linkstate
from bellwire.network.identity import Roster
from bellwire.node import archive, fence, material, settings
from bellwire.node.network import assemble
from bellwire.node.network import map as network_map
from bellwire.pki import index
from bellwire.web import requests as web

NOW = 1_800_000_000.0
LIMITS = Limits()
HERE = Path("here")
SIGNER = CompositeKey(Ed25519Key(bytes(32)), SigningKey(bytes(32)))
NODE = fingerprint(SigningKey(bytes(32)).public_bytes)
ROSTER = Roster({"a": NODE})
"""Of keys that anybody knows: what was signed with them is taken, what is spoilt of it is not."""


@dataclass(frozen=True)
class Parser:
    """One parser.

    Attributes:
        read: Of bytes; raises one of `errors` or gives what it read.
        errors: Those that its documentation names.
    """

    read: Callable[[bytes], object]
    errors: tuple[type[BaseException], ...] = (BellwireError,)


def words(read: Callable[[str], object]) -> Parser:
    """A parser of text: other bytes than UTF-8 never reach it."""

    def of_bytes(data: bytes) -> object:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        return read(text)

    return Parser(of_bytes)


def filed(read: Callable[[Path], object], name: str) -> Parser:
    """A parser of a file of that name, in a folder of its own."""

    def of_bytes(data: bytes) -> object:
        with tempfile.TemporaryDirectory(prefix="bellwire-fuzz-") as folder:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            return read(path)

    return Parser(of_bytes)


def kinds(decode: Callable[[bytes, Any], object], *which: type[Any]) -> dict[str, Parser]:
    """A parser for each kind of message that may be due."""

    def one(kind: type[Any]) -> Parser:
        return Parser(lambda data: decode(data, kind))

    return {kind.__name__: one(kind) for kind in which}


def sized(data: bytes, size: int) -> bytes:
    """As many bytes as whoever calls has checked that there are."""
    return data[:size].ljust(size, b"\0")


def split(data: bytes) -> tuple[bytes, bytes]:
    """Two parts of one input; the first byte is the length of the first part."""
    cut = 1 + data[0] if data else 1
    return data[1:cut], data[cut:]


def word(data: bytes) -> object:
    """A word of a node over a server; the header with its signature comes last."""
    cut = data.rfind(b"\n")
    header = data[cut + 1 :].decode("latin-1")
    return signed.Verifier(NODE, "status").read(data[:cut], {signed.HEADER: header})


def tags(form: recording.TagFormat) -> Parser:
    """A parser of a file of time tags."""
    about = recording.About(
        version=1,
        site="a",
        protocol=Protocol.BBM92,
        generated=True,
        format=form,
        file="tags",
        channels=recording.detectors(Protocol.BBM92),
    )

    def read(path: Path) -> object:
        return list(reader.read_tags(recording.Recording(path.parent, about)))

    return filed(read, about.file)


PARSERS: dict[str, Parser] = {
    "admission.address": words(evidence.read_address),
    "admission.answer": Parser(assessor.read_answer),
    "channel.certificate": Parser(
        lambda data: certificates.read_certificate(data, SIGNER.public, certificates.Role.DEVICE)
    ),
    "channel.fragment": Parser(fragments.parse_fragment),
    "channel.notice": Parser(
        lambda data: places.read(data, SIGNER.public.fingerprint, now=NOW, after=0)
    ),
    "channel.offer": Parser(lambda data: channel.parse_offer(sized(data, OFFER_BYTES))),
    "channel.revocations": Parser(lambda data: certificates.read_revoked(data, SIGNER.public)),
    "chat.account-answer": Parser(account_answers.read_answer),
    "chat.account-request": Parser(account_requests.read_request),
    "chat.ask": Parser(lambda data: attachment.read_ask_text(data, 100)),
    "chat.card": Parser(card.read_card),
    "chat.chunk": Parser(attachment.read_chunk_text),
    "chat.code": words(transfer_code.read_code),
    "chat.command": words(commands.parse),
    "chat.content": Parser(lambda data: content.decode(*split(data))),
    "chat.file": Parser(attachment.read_small_file),
    "chat.file-key": Parser(attachment.read_file_key),
    "chat.invitation": words(invitations.read_invitation),
    "chat.link": words(lambda text: card.read_link(text, NOW)),
    "chat.offer": Parser(offers.read_offer),
    "chat.person": filed(
        lambda path: home.read(path.parents[2], path.parent.name), "chat/p/person.toml"
    ),
    "chat.record": Parser(records.decode),
    "chat.roster": Parser(roster.read_roster),
    "chat.session": Parser(session.decode_session),
    "cli.address": words(addresses.parse_address),
    "cli.destination": words(destinations.parse_destination),
    "console.envelope": Parser(sealed.read_envelope),
    "console.status": Parser(console_status.read_page),
    "crypto.record": Parser(lambda data: record.decode(data, "bellwire wrapped identity 1")),
    "crypto.source": words(lambda text: sources.parse_source(text, HERE)),
    "crypto.token-uri": words(token_uri.parse_token_uri),
    "device.code": words(enrolment_code.parse_code),
    "device.enrolment": Parser(enrol_messages.read_request),
    "device.from-cloud": Parser(device.decode_from_cloud),
    "device.from-device": Parser(device.decode_from_device),
    "device.place": words(place.parse_place),
    "device.readings": filed(readings.read_readings, "readings"),
    "distill.opening": Parser(material.read_opening),
    "distill.plane": Parser(lambda data: announcements.decode_plane(data, 1000, "plane")),
    "etsi014.profile": filed(
        lambda path: profile.read_profile(path.parent.parent, path.stem), "profiles/p.toml"
    ),
    "guard.addresses": words(lambda text: scope.read_addresses(tuple(text.split("\n")))),
    "guard.told": Parser(guard.read_told),
    "guard.word": Parser(word),
    "keys.answer": Parser(key_socket.decode_answer, UNDECODABLE),
    "keys.id": words(KeyId.parse),
    "keys.peering": Parser(peering.decode, UNDECODABLE),
    "keys.request": Parser(key_socket.decode_request, UNDECODABLE),
    "lab.axis": words(Axis.parse),
    "lab.configuration": filed(read_configuration, "experiment.toml"),
    "lab.engine": words(engines.parse_engine),
    "lab.middle": words(middle.parse_middle),
    "lab.monitors": words(monitors.parse_monitors),
    "ledger.anchor": Parser(anchor.parse_anchor),
    "ledger.checkpoint": words(checkpoint.parse_checkpoint),
    "ledger.entry": Parser(codec.decode),
    "ledger.evm-key": words(evm.parse_key),
    "ledger.hive-key": words(hive.parse_wif),
    "ledger.note": Parser(note.parse_note),
    "ledger.path": words(tiles.parse_path),
    "ledger.policy": Parser(policy.parse_policy),
    "ledger.receipt": Parser(receipt.parse_receipt),
    "ledger.signature": words(note.parse_signature),
    "ledger.submission": Parser(submission.parse_submission),
    "ledger.vkey": words(verifier_keys.parse_vkey),
    "link.any-eve": words(attacks.parse_any_eve),
    "link.axes": words(eve.parse_axes),
    "link.block-answer": Parser(link.decode_block_answer),
    "link.block-request": Parser(link.decode_block_request, UNDECODABLE),
    "link.clicks": words(click_stream.State.from_json),
    "link.control": Parser(link.decode_control, UNDECODABLE),
    "link.control-answer": Parser(link.decode_control_answer),
    "link.eve": words(eve.parse_eve),
    "link.weak-eve": words(weak.parse_weak_eve),
    "network.announcement": Parser(lambda data: linkstate.LinkState(ROSTER).receive(data, NOW)),
    "network.answer": Parser(deposit.read_answer),
    "network.deposit": Parser(deposit.read),
    "network.frame": Parser(hop.read_frame),
    "node.address": words(lambda text: assemble.parse(text, "network.peering")),
    "node.backup": Parser(archive.unpack),
    "node.history": Parser(lambda data: fence.read_history(data, Path("history"))),
    "node.settings": filed(settings.load, "bellwire.toml"),
    "node.topology": filed(network_map.read_map, "topology.toml"),
    "pki.entries": Parser(lambda data: index.decode(data, HERE)),
    "relay.answer": Parser(frames.read_answer),
    "relay.bundle": Parser(frames.read_bundle),
    "relay.drop": Parser(frames.read_drop),
    "relay.request": Parser(frames.read_request),
    "relay.safe": Parser(frames.read_safe),
    "relay.spot": words(ladder.read_spot),
    "timetags.recording": filed(lambda path: recording.Recording.load(path.parent), "tags.toml"),
    "web.key-ids": Parser(lambda data: web.read_key_ids(b"POST", b"", data, LIMITS)),
    "web.key-ids-get": Parser(lambda data: web.read_key_ids(b"GET", data, b"", LIMITS)),
    "web.key-request": Parser(lambda data: web.read_key_request(b"POST", b"", data)),
    "web.key-request-get": Parser(lambda data: web.read_key_request(b"GET", data, b"")),
    "web.path": Parser(web.read_path),
    "web.target": Parser(web.split_target),
}
PARSERS |= {
    f"etsi014.{name}": parser
    for name, parser in kinds(
        etsi014.decode, etsi014.Status, etsi014.KeyRequest, etsi014.KeyIds, etsi014.KeyContainer
    ).items()
}
PARSERS |= {
    f"distill.{name}": parser
    for name, parser in kinds(
        distilling.decode,
        distilling.Open,
        distilling.Received,
        distilling.Announced,
        distilling.Tested,
        distilling.Decided,
        distilling.Proof,
        distilling.Tagged,
        distilling.Stored,
    ).items()
}
PARSERS |= {
    f"timetags.{name}": parser
    for name, parser in kinds(
        timetags.decode, timetags.Hello, timetags.Told, timetags.Found
    ).items()
}
PARSERS |= {f"timetags.{form}": tags(form) for form in recording.TagFormat}
