"""The Python side of a talk with a browser: a line of JSON in, a line of JSON out.

Run by the browser's journey; each side has the other's payloads, and nothing else of it.
"""

import json
import sys

from tests.chat.conversation import BOB, NOW, Person, PlainPads, make_prekeys, words

from bellwire.chat.opening import accept, begin
from bellwire.chat.prekeys import read_bundle
from bellwire.chat.safety import safety_number

PAD_BYTES = 512
PREKEYS = make_prekeys()
PADS = PlainPads()


def share(pad_id: bytes, whose: str) -> None:
    """A pad that the browser makes likewise."""
    pads = PADS.ours if whose == "ours" else PADS.theirs
    pads[pad_id] = bytes((at * 7 + pad_id[0]) % 256 for at in range(PAD_BYTES))


def hear(person: Person, payload: bytes) -> dict[str, str]:
    """What the browser said, and where the pad that it was under came from."""
    opened = person.open(payload)
    return {
        "text": opened.content.text.decode(),
        "pad": opened.protection.pad_source or "",
    }


def main() -> None:
    """Answer until there are no more questions."""
    person: Person | None = None
    for line in sys.stdin:
        asked: dict[str, str] = json.loads(line)
        payload = bytes.fromhex(asked.get("payload", ""))
        answer: dict[str, str] = {}
        match asked["do"]:
            case "bundle":
                answer["bundle"] = PREKEYS.bundle().encode().hex()
                answer["fingerprint"] = BOB.public.fingerprint.hex()
            case "pad":
                share(bytes.fromhex(asked["key"]), asked["whose"])
            case "accept":
                person = Person(accept(BOB, payload, PREKEYS.lookup).session, PADS)
                answer = hear(person, payload)
            case "begin":
                fingerprint = bytes.fromhex(asked["fingerprint"])
                bundle = read_bundle(bytes.fromhex(asked["bundle"]), fingerprint, NOW)
                person = Person(begin(BOB, bundle), PADS)
                answer["payload"] = person.say("from Python").hex()
            case "say":
                assert person is not None
                sealed = person.seal(words(asked["text"], content_id=bytes.fromhex(asked["id"])))
                answer["payload"] = sealed.payload.hex()
            case "hear":
                assert person is not None
                answer = hear(person, payload)
            case "safety":
                peer = bytes.fromhex(asked["peer"])
                answer["number"] = safety_number(BOB.public.fingerprint, peer)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
