"""Who may have a new handle at a relay: anybody, who has an invitation of its operator, or nobody.

Invitations are lines of a file that the operator writes, so that they are given and taken back
while the relay runs; each serves once. The relay keeps the hashes of those that have served.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from bellwire.base.private import PathExposed, PathUnusable, read_own_file
from bellwire.chat.accounts.fields import INVITATION_BYTES, AccountReason
from bellwire.chat.accounts.ledger import Ledger
from bellwire.chat.accounts.rules import NotDone
from bellwire.chat.errors import ChatMisuse, StoreUnusable

MAX_FILE: Final = 4 << 20


class SignUps(Enum):
    """Who may have a new handle."""

    OPEN = "open"
    INVITED = "invited"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides on new handles.

    Attributes:
        sign_ups: Who may have one.
        invitations: The hashes of those that are given out, for `INVITED`; raises StoreUnusable.
    """

    sign_ups: SignUps = SignUps.OPEN
    invitations: Callable[[], frozenset[bytes]] = frozenset

    def admit(self, invitation: bytes | None, ledger: Ledger) -> None:
        """Return only if a new account may be made now, and count its invitation as used; NotDone.

        Nothing is counted if the transaction comes to nothing.
        """
        if self.sign_ups is SignUps.CLOSED:
            raise NotDone(AccountReason.CLOSED)
        if self.sign_ups is SignUps.INVITED:
            code = hashlib.sha256(invitation or b"").digest()
            # By its hash: how long that takes to be found says nothing of the invitation.
            if code not in self.invitations() or not ledger.use_invitation(code):
                raise NotDone(AccountReason.UNINVITED)


def read_invitation(text: str) -> bytes:
    """An invitation as it is given: 32 hexadecimal digits.

    Raises:
        ChatMisuse: it is none.
    """
    bare = text.strip()
    if len(bare) != 2 * INVITATION_BYTES or not set(bare.lower()) <= set("0123456789abcdef"):
        raise ChatMisuse(
            f"expected an invitation of {2 * INVITATION_BYTES} hexadecimal digits, got another text"
        )
    return bytes.fromhex(bare)


def invitations_in(path: Path) -> frozenset[bytes]:
    """The hashes of the invitations in a file of the operator's, one a line.

    Raises:
        StoreUnusable: there is no such file, others may read it, or a line is none.
    """
    try:
        data = read_own_file(path, MAX_FILE)
        lines = [] if data is None else data.decode("ascii").split("\n")
        codes = [read_invitation(each) for each in lines if each.strip()]
    except (ChatMisuse, UnicodeDecodeError) as error:
        raise StoreUnusable(
            f"expected invitations in {path}, each 32 hexadecimal digits on a line, got another",
            hint="Make one with: openssl rand -hex 16",
        ) from error
    except (PathExposed, PathUnusable) as error:
        raise StoreUnusable(str(error), hint=error.hint) from error
    if data is None:
        raise StoreUnusable(f"expected invitations in {path}, got no file")
    return frozenset(hashlib.sha256(each).digest() for each in codes)
