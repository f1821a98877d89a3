"""Any Eve on a link, whatever light it has: of photons, or of weak pulses.

Intercept-resend, along the usual axes, is known on both; every other attack belongs to one kind of
light, and a block of the other is refused while she is there.
"""

from bellwire.base.detections import Protocol
from bellwire.link.errors import ParameterError
from bellwire.link.eve import Axes, Eve, EveKind, parse_eve
from bellwire.link.weak import WeakEve, WeakEveKind, parse_weak_eve

AnyEve = Eve | WeakEve

KINDS = tuple(dict.fromkeys([*map(str, EveKind), *map(str, WeakEveKind)]))
"""Names of all attacks."""


def any_eve(kind: str, share: float, axes: Axes | None = None) -> AnyEve:
    """The Eve of that name; intercept-resend is taken as one of photons.

    Raises:
        ParameterError: there is none such.
    """
    if kind in list(EveKind):
        return Eve(EveKind(kind), share, axes)
    if kind not in list(WeakEveKind):
        raise ParameterError("Eve's kind", f"one of {', '.join(KINDS)}", repr(kind))
    if axes is not None:
        raise ParameterError("Eve's axes", "only for an Eve of photons", f"axes for {kind}")
    return WeakEve(WeakEveKind(kind), share)


def parse_any_eve(text: str, axes: Axes | None = None) -> AnyEve | None:
    """Read `KIND[:SHARE]` of any light; `none` gives None.

    Raises:
        ParameterError: as `parse_eve` and `any_eve`.
    """
    kind = text.strip().partition(":")[0]
    if kind == "none" or kind in list(EveKind):
        return parse_eve(text, axes)
    if kind not in KINDS:
        raise ParameterError("Eve", f"as none or KIND[:SHARE], KIND {', '.join(KINDS)}", repr(text))
    weak = parse_weak_eve(text)
    return None if weak is None else any_eve(weak.kind, weak.share, axes)


def on_photons(eve: AnyEve | None, protocol: Protocol) -> Eve | None:
    """Her attack on a block of single photons or pairs.

    Raises:
        ParameterError: she has none on this protocol.
    """
    if isinstance(eve, WeakEve):
        if eve.kind is not WeakEveKind.INTERCEPT_RESEND:
            raise ParameterError(f"Eve's {eve.kind}", "only on weak pulses", protocol)
        eve = Eve(EveKind.INTERCEPT_RESEND, eve.share)
    if eve is not None:
        eve.check(protocol)
    return eve


def on_weak_pulses(eve: AnyEve | None) -> WeakEve | None:
    """Her attack on a block of weak pulses.

    Raises:
        ParameterError: she has none on these.
    """
    if not isinstance(eve, Eve):
        return eve
    if eve.kind is not EveKind.INTERCEPT_RESEND or eve.axes is not None:
        kinds = ", ".join(WeakEveKind)
        what = f"{eve.kind} with axes" if eve.axes else eve.kind
        raise ParameterError("Eve", f"on weak pulses as one of {kinds}, without axes", what)
    return WeakEve(WeakEveKind.INTERCEPT_RESEND, eve.share)
