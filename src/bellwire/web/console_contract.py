"""What browsers may ask a console for under `/api`: paths, verbs, shapes, and for whom.

The table that requests are routed by, and that the OpenAPI is made from.
"""

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from bellwire.admission.client import Challenged, Echoed, Registered
from bellwire.admission.operator import RegistrationView
from bellwire.console import experiments, views, views_chat, views_record
from bellwire.iot.operator import RoutesView
from bellwire.iot.roster import ReadingsView
from bellwire.web import console_devices, console_relay
from bellwire.web.admission import ChallengeRequest, EchoRequest, RegisterRequest
from bellwire.web.errors import RequestRefused

EVERYBODY: Final = frozenset[str]()
SIGNED_IN: Final = frozenset({"member", "operator", "auditor"})
MEMBERS: Final = frozenset({"member", "operator"})
WATCHERS: Final = frozenset({"operator", "auditor"})
OPERATORS: Final = frozenset({"operator"})

_NUMBER: Final = {
    "integer": re.compile(r"[0-9]{1,16}"),
    "number": re.compile(r"[0-9]{1,16}(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,3})?"),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of a query: a whole number, a time, or a word.

    Attributes:
        name: In the query.
        kind: `integer`, `number` or `string`.
        least: Of a number.
        most: Of a number; of a word its characters.
        default: Where it is not given; None where that means no bound.
        about: In words.
        pattern: Of a word that must be given; None of one that need not.
    """

    name: str
    kind: str
    least: float
    most: float
    default: float | None
    about: str
    pattern: str | None = None

    def read(self, text: str) -> float | str:
        """The parameter in a text of a query.

        Raises:
            RequestRefused: 400, it is none.
        """
        if self.kind == "string":
            if len(text) > self.most:
                raise RequestRefused(400, f"{self.name}: expected at most {self.most} characters")
            if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
                raise RequestRefused(400, f"{self.name}: expected {self.about}, got another")
            return text
        kind = int if self.kind == "integer" else float
        if _NUMBER[self.kind].fullmatch(text) is None or not (
            self.least <= (found := kind(text)) <= self.most
        ):
            raise RequestRefused(
                400, f"{self.name}: expected a number from {self.least:g} to {self.most:g}"
            )
        return found


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that browsers ask for.

    Attributes:
        name: Of the operation.
        verb: GET or POST.
        path: Below the console's address.
        roles: Who may; empty: everybody, signed in or not.
        about: In words.
        answer: Shape of the answer.
        body: Shape of the request's body; None for none.
        query: Its parameters.
        stream: Whether the answer is a stream of events, whose contents are `answer`'s members.
    """

    name: str
    verb: bytes
    path: bytes
    roles: frozenset[str]
    about: str
    answer: type[msgspec.Struct]
    body: type[msgspec.Struct] | None = None
    query: tuple[Parameter, ...] = ()
    stream: bool = False


def _limit(most: int, default: int) -> Parameter:
    return Parameter("limit", "integer", 1, most, default, "At most so many, the latest.")


_SINCE: Final = Parameter("since", "number", 0, 1e12, 0, "From this time on.")
_AFTER: Final = Parameter("after", "integer", 0, 2**53, None, "Those above this running number.")
_BEFORE: Final = Parameter("before", "integer", 0, 2**53, None, "Those below it.")
_FIND: Final = Parameter("find", "string", 0, 64, None, "Those with this in their name.")
_TREE: Final = Parameter("size", "integer", 0, 2**53, None, "Of the tree; else as it is now.")

OPERATIONS: Final = (
    Operation(
        "about", b"GET", b"/api/about", EVERYBODY, "What a page may know at once", views.About
    ),
    Operation("me", b"GET", b"/api/me", SIGNED_IN, "Who is signed in", views.Me),
    Operation(
        "sign_in", b"POST", b"/api/sign-in", EVERYBODY, "By password", views.Me,
        views.PasswordSignIn,
    ),
    Operation(
        "sign_in_by_token", b"POST", b"/api/sign-in/token", EVERYBODY, "By an account's token",
        views.Me, views.TokenSignIn,
    ),
    Operation(
        "sign_in_by_link", b"POST", b"/api/sign-in/link", EVERYBODY,
        "By a one-time link, choosing a password", views.Me, views.LinkSignIn,
    ),
    Operation("sign_out", b"POST", b"/api/sign-out", SIGNED_IN, "End this session", views.Done),
    Operation(
        "sign_out_everywhere", b"POST", b"/api/sign-out/everywhere", SIGNED_IN,
        "End every browser session of this account", views.Done,
    ),
    Operation(
        "set_password", b"POST", b"/api/password", SIGNED_IN,
        "Choose a password; every other browser session of this account ends", views.Me,
        views.NewPassword,
    ),
    Operation(
        "live", b"GET", b"/api/live", SIGNED_IN,
        "Server-sent events; resumes after Last-Event-ID", views.LiveEvents, stream=True,
    ),
    Operation(
        "network", b"GET", b"/api/network", SIGNED_IN, "Link, stock, lab and guards now",
        views.NetworkView,
    ),
    Operation(
        "blocks", b"GET", b"/api/blocks", SIGNED_IN, "Blocks and probes that this console saw",
        views.Blocks, query=(_AFTER, _BEFORE, _limit(1000, 300)),
    ),
    Operation(
        "stock", b"GET", b"/api/stock", SIGNED_IN, "Samples of the stock, of the last hour",
        views.Stocks, query=(_SINCE,),
    ),
    Operation(
        "history", b"GET", b"/api/history", SIGNED_IN,
        "How the link was, as its node keeps it over restarts", views.StatusRecords,
        query=(_SINCE, _limit(5000, 1000)),
    ),
    Operation(
        "events", b"GET", b"/api/events", SIGNED_IN, "The timeline", views.Events,
        query=(_BEFORE, _limit(500, 200)),
    ),
    Operation(
        "sessions", b"GET", b"/api/sessions", SIGNED_IN, "Sessions of members", views.SessionList,
        query=(_limit(500, 100),),
    ),
    Operation(
        "make_session", b"POST", b"/api/sessions", MEMBERS,
        "A session with another member: a new one, or the one that he opened",
        views.MadeSession, views.MakeSession,
    ),
    Operation(
        "attack", b"POST", b"/api/attack", OPERATORS, "In the lab: let Eve in", views.LabView,
        views.EveView,
    ),
    Operation(
        "reset", b"POST", b"/api/reset", OPERATORS, "In the lab: send Eve away", views.LabView
    ),
    Operation(
        "relay", b"GET", b"/api/relay", WATCHERS, "Where the site's relay is",
        console_relay.RelayView,
    ),
    Operation(
        "move_relay", b"POST", b"/api/relay", OPERATORS,
        "Have the site's relay move; its clients follow", console_relay.RelayPlaces,
        console_relay.MoveRelay,
    ),
    Operation(
        "record", b"GET", b"/api/record", SIGNED_IN, "The site's log; 404 where none is shown",
        views_record.RecordView,
    ),
    Operation(
        "record_entries", b"GET", b"/api/record/entries", SIGNED_IN, "Entries with their proofs",
        views_record.RecordEntries,
        query=(
            _TREE,
            Parameter("start", "integer", 0, 2**53, None, "Look from this number on."),
            Parameter("before", "integer", 0, 2**53, None, "Else look back from it, or the end."),
            _limit(200, 50),
            Parameter("kind", "string", 0, 40, None, "Those of this kind alone."),
            Parameter("writer", "string", 0, 64, None, "Those of this writer alone."),
            Parameter("handle", "string", 0, 64, None, "Those about this handle alone."),
        ),
    ),
    Operation(
        "record_consistency", b"GET", b"/api/record/consistency", SIGNED_IN,
        "The proof that a tree begins with an older one", views_record.RecordConsistency,
        query=(Parameter("old", "integer", 0, 2**53, 0, "Size of the older tree."), _TREE),
    ),
    Operation(
        "devices", b"GET", b"/api/devices", WATCHERS, "The site's cloud and its devices",
        console_devices.DevicesView, query=(_FIND, _limit(1000, 200)),
    ),
    Operation(
        "device_readings", b"GET", b"/api/devices/readings", WATCHERS, "What a device said last",
        ReadingsView,
        query=(
            Parameter(
                "device", "string", 0, 64, None, "its fingerprint, 64 hexadecimal digits",
                console_devices.FINGERPRINT,
            ),
            _limit(200, 50),
        ),
    ),
    Operation(
        "device_messages", b"GET", b"/api/devices/messages", WATCHERS,
        "Where messages to devices are", RoutesView, query=(_limit(1000, 100),),
    ),
    Operation(
        "invite_device", b"POST", b"/api/devices/invite", OPERATORS,
        "A one-time code by which a device enrols", console_devices.InvitedDevice,
        console_devices.InviteDevice,
    ),
    Operation(
        "cancel_invitation", b"POST", b"/api/devices/invite/cancel", OPERATORS,
        "Take an invitation back", views.Done, console_devices.NamedInvitation,
    ),
    Operation(
        "remove_device", b"POST", b"/api/devices/remove", OPERATORS,
        "Take a device off the cloud's list; its sessions end", views.Done,
        console_devices.NamedDevice,
    ),
    Operation(
        "newcomers", b"GET", b"/api/admission", WATCHERS,
        "The site's server of admission, and who is registered or waits",
        console_devices.NewcomersView, query=(_FIND, _limit(1000, 200)),
    ),
    Operation(
        "decide", b"POST", b"/api/admission", OPERATORS,
        "Let in or turn away who waits, or take an admission back", RegistrationView,
        console_devices.Decided,
    ),
    Operation(
        "door", b"GET", b"/api/register", SIGNED_IN, "Where people of this site register",
        console_devices.RegisterView,
    ),
    Operation(
        "register_challenge", b"POST", b"/api/register/challenge", SIGNED_IN,
        "Begin to register a name with keys", Challenged, ChallengeRequest,
    ),
    Operation(
        "register_echo", b"POST", b"/api/register/echo", SIGNED_IN,
        "Let the server time a way there and back", Echoed, EchoRequest,
    ),
    Operation(
        "register", b"POST", b"/api/register", SIGNED_IN,
        "Register a name, its keys proven; the same again tells how it stands", Registered,
        RegisterRequest,
    ),
    Operation(
        "chat", b"GET", b"/api/chat", MEMBERS, "Relays that this console reaches",
        views_chat.ChatView,
    ),
    Operation(
        "chat_way", b"GET", b"/api/chat/way", MEMBERS,
        "Server-sent events: a way to the relays, and what they say; 404 where there are none",
        views_chat.ChatEvents, stream=True,
    ),
    Operation(
        "chat_send", b"POST", b"/api/chat/frames", MEMBERS, "Frames for a relay, by a way",
        views.Done, views_chat.SentFrames,
    ),
    Operation(
        "chat_line", b"POST", b"/api/chat/line", MEMBERS,
        "A line of the page's own to the first relay, or its end", views.Done,
        views_chat.AskedLine,
    ),
    Operation(
        "chat_draw", b"POST", b"/api/chat/pads", MEMBERS,
        "A pad from stock; 404 where there never will be one", views_chat.DrawnPad,
        views_chat.AskedPad,
    ),
    Operation(
        "chat_make", b"POST", b"/api/chat/pads/fresh", MEMBERS,
        "A pad by a session of its own; 404 where there never will be one", views_chat.MadePad,
        views_chat.AskedSession,
    ),
    Operation(
        "chat_fetch", b"POST", b"/api/chat/pads/keys", MEMBERS, "A pad that somebody drew, once",
        views_chat.FetchedPad, views_chat.NamedKeys,
    ),
    Operation(
        "chat_session", b"POST", b"/api/chat/pads/session", MEMBERS,
        "The pad of a session that somebody asked for, once", views_chat.SessionPad,
        views_chat.NamedPad,
    ),
    Operation(
        "chat_overheard", b"GET", b"/api/chat/overheard", MEMBERS,
        "In the lab: what crossed the public channel of a session", views_chat.OverheardMessages,
        query=(
            Parameter(
                "session", "string", 0, 36, None, "the id of a session, a UUID",
                r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            ),
            _AFTER,
        ),
    ),
    Operation(
        "experiments", b"GET", b"/api/lab", SIGNED_IN, "What experiments there are",
        experiments.LabOffer,
    ),
    Operation(
        "run_experiment", b"POST", b"/api/lab/run", SIGNED_IN,
        "Run an experiment, simulated for it alone", experiments.ExperimentView,
        experiments.AskedExperiment,
    ),
)  # fmt: skip
