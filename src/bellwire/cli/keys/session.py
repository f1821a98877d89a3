"""`bellwire keys session`: a fresh pad, made now by a session of its own, and its record."""

from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.keys.delivered import OutOption, check_out, deliver
from bellwire.cli.keys.options import (
    Asked,
    CaOption,
    CertOption,
    KeyOption,
    KmeOption,
    ProfileOption,
    both_ends,
)
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.etsi014.record import SessionRecord


def command(
    kme: KmeOption = None,
    sae: Annotated[
        str | None, typer.Option(metavar="SLAVE", help="The SAE that gets the same pad.")
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    bits: Annotated[int, typer.Option(metavar="N", help="Bits of the pad.")] = 8192,
    out: OutOption = None,
    profile: ProfileOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Have both nodes make a pad now, and show how; the other SAE fetches it by its id."""
    from bellwire.etsi014.errors import SessionAborted
    from bellwire.etsi014.exchange import Key
    from bellwire.etsi014.fresh import BlockingFreshClient

    check_out(out)
    url, credentials, slave = both_ends(Asked(kme, cert, key, ca, sae, profile, state, config))
    with BlockingFreshClient(url, credentials) as client:
        try:
            made = client.fresh(slave, bits)
        except SessionAborted as error:
            if not json:
                _show(error.record)
                raise
            output.emit({"session": _plain(error.record)})
            raise
    key_made = Key(made.pad_id, made.pad)
    if json:
        deliver([key_made], out, as_json=True, session=made.record and _plain(made.record))
        return
    if made.record is not None:
        _show(made.record)
    deliver([key_made], out, as_json=False)


def _plain(record: "SessionRecord") -> object:
    import msgspec

    return msgspec.to_builtins(record)


def _show(record: "SessionRecord") -> None:
    """The session as it went, step by step, on standard error."""
    console = output.stderr()
    for line in _lines(record):
        console.print(line, highlight=False, soft_wrap=True)


def _lines(record: "SessionRecord") -> list[str]:
    said = {
        "detections": f"{record.coincidences:,} of {record.pairs:,} pairs detected at both sides",
        "settings": f"{record.sifted_bits:,} bits of settings that give key",
        "test": f"{record.test_pairs:,} outcomes opened: {_s(record)}",
        "disclosure": f"all outcomes opened: {_qber(record)}",
        "reconciliation": f"{_qber(record)}, {record.leaked_bits:,} bits leaked",
        "verification": f"a hash of {record.verification_bits} bits agreed",
        "storage": f"{record.final_bits:,} bits kept",
    }
    lines = [f"session {record.session}, source {record.source}"]
    for each in record.steps:
        lines.append(f"  {each.step:<15}{each.ms:8.1f} ms  {said.get(each.step, '')}".rstrip())
    lines.append(f"  {'in all':<15}{record.total_ms:8.1f} ms  {record.public_bytes:,} bytes public")
    if not record.accepted:
        lines.append(f"aborted: {record.message or record.reason}")
    return lines


def _s(record: "SessionRecord") -> str:
    return "S unknown" if record.s is None else f"S = {record.s:.3f} ± {record.s_stderr:.3f}"


def _qber(record: "SessionRecord") -> str:
    return "QBER unknown" if record.qber is None else f"QBER {record.qber:.1%}"
