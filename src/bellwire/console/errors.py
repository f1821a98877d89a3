"""What can go wrong between members, their consoles and the key server behind these.

BellwireError
├── AccountUnusable    (UsageError) no name of a member, a name twice, or no such account
├── AccountsDamaged    (UsageError) the file of accounts is not what this program wrote
├── PasswordUnusable   (UsageError) a new password is too short, too long, or the account's name
├── PasswordsBusy      (UnreachableError) too many passwords wait to be checked
├── SignInRefused      (RefusedError) a password, a token or a link that is nobody's
├── MemberUnknown      (UsageError) nobody has that name, here or at the other site
├── SessionRefused     (UsageError) a member and himself have no session
├── NoKeyNow           (RefusedError) the link is RED, or has no fresh verdict
├── KeysAbsent         (UnreachableError) the key server gives no key now
├── PeerConsoleAbsent  (UnreachableError) the other site's console is needed, and gave no answer
├── PeerRefused        (RefusedError) what came is not from the other site's console
├── RelaysDamaged      (UsageError) the file of relays is not what this program wrote
├── RecordAbsent       (UnreachableError) the site's log cannot be shown now
└── RecordRefused      (RefusedError) the site's log is not what it signed, or not signed
"""

from bellwire.base.errors import RefusedError, UnreachableError, UsageError


class AccountUnusable(UsageError):
    """An account cannot be made, changed or removed."""


class AccountsDamaged(UsageError):
    """The file of accounts is not what this program wrote; nobody is believed."""


class RelaysDamaged(UsageError):
    """The file of what a console knows of its relays is not what this program wrote."""


class PasswordUnusable(UsageError):
    """No account may have this password."""


class PasswordsBusy(UnreachableError):
    """Too many passwords wait to be checked; the same call may succeed later."""


class SignInRefused(RefusedError):
    """Nobody signs in with this; it does not say what is wrong with it."""


class MemberUnknown(UsageError):
    """There is no member of that name."""


class SessionRefused(UsageError):
    """Two members have a session, one alone has none."""


class NoKeyNow(RefusedError):
    """No key leaves: the link is RED, or nothing recent says that it is not."""


class KeysAbsent(UnreachableError):
    """The key server does not answer, or has no key now; the same call may succeed later."""


class PeerConsoleAbsent(UnreachableError):
    """The console of the other site must be asked, and does not answer."""


class PeerRefused(RefusedError):
    """A message between consoles that does not come from the other one."""


class RecordAbsent(UnreachableError):
    """The site's log cannot be shown now; the same call may succeed later."""


class RecordRefused(RefusedError):
    """The site's log has no signature, witness or proof that it must have, or one does not hold."""
