"""The report: one page that works anywhere, and the same as JSON.

What always holds: whatever comes from a claim is escaped; nothing is written unless the search for
secrets (`redaction`) found none; each file is put in place whole, the page last.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from bellwire.base.private import write_whole
from bellwire.claims.model import Outcome, Result
from bellwire.claims.redaction import check
from bellwire.claims.run import Evidence
from bellwire.demo.page import style_sheet

DATA: Final = "evidence.json"
PAGE: Final = "evidence.html"
SIGNS: Final = {Outcome.HOLDS: "✓", Outcome.FAILS: "✗", Outcome.NOT_RUN: "–"}
READABLE: Final = 0o644

HONESTY: Final = (
    "Each claim was run by the product's own code on this machine; the command beside it runs it"
    " again. That a claim holds here shows that this installation behaves as the threat model says"
    " in what was tried. It is no audit, and does not show what nobody tried. All light is"
    " simulated: it gives no secrecy."
)


def document(evidence: Evidence, seen: Sequence[bytes]) -> dict[str, Any]:
    """What the report says, as plain values.

    Args:
        evidence: What came of the run.
        seen: Secrets that were made in it.

    Raises:
        ReportLeaks: it would show key material.
    """
    data = evidence.to_dict()
    check(_as_text(data), seen)
    return data


def write(evidence: Evidence, seen: Sequence[bytes], folder: Path) -> Path:
    """Write `evidence.json` and `evidence.html` into a folder that is there.

    Args:
        evidence: What came of the run.
        seen: Secrets that were made in it.
        folder: Where.

    Returns:
        The path of the page.

    Raises:
        ReportLeaks: the report would show key material; nothing was written.
        PathUnusable: it cannot be written.
    """
    data = _as_text(document(evidence, seen))
    body = render(evidence)
    check(body, seen)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f'<link rel="icon" href="data:,"><title>bellwire: {escape(headline(evidence))}</title>'
        f"<style>{style_sheet()}</style></head><body>{body}</body></html>\n"
    )
    write_whole(folder / DATA, f"{data}\n".encode(), READABLE, replace=True)
    write_whole(folder / PAGE, page.encode(), READABLE, replace=True)
    return folder / PAGE


def _as_text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)


def headline(evidence: Evidence) -> str:
    """All in one sentence."""
    holds, fails, skipped = (evidence.count(each) for each in Outcome)
    words = f"{holds} {'claim holds' if holds == 1 else 'claims hold'}"
    if fails:
        words = f"{fails} of {holds + fails} claims {'fails' if fails == 1 else 'fail'}"
    return f"{words}, {skipped} not run" if skipped else words


def render(evidence: Evidence) -> str:
    """The page's body."""
    parts = [
        '<header><div><div class="brand"><span>bellwire</span><span class="badge">'
        f"{'pass' if evidence.succeeded else 'fail'}</span></div>"
        f'<h1>{escape(headline(evidence))}</h1><ul class="findings">{_failures(evidence)}</ul>'
        "</div></header><main>",
        _numbers(evidence),
        *(_section(attacker, results) for attacker, results in evidence.by_attacker().items()),
        f'<h2>What this shows</h2><div class="card honest"><p>{HONESTY}</p></div></main>',
        _footer(evidence),
    ]
    return "\n".join(parts)


def _failures(evidence: Evidence) -> str:
    failed = [each for each in evidence.results if each.outcome is Outcome.FAILS]
    return "".join(
        f"<li><b aria-hidden=true>✗</b>{escape(each.says)}: {escape(each.figure)}</li>"
        for each in failed
    )


def _numbers(evidence: Evidence) -> str:
    cards = [
        (str(evidence.count(Outcome.HOLDS)), "claims hold"),
        (str(evidence.count(Outcome.FAILS)), "claims fail"),
        (str(evidence.count(Outcome.NOT_RUN)), "not run here"),
        (f"{evidence.wall_s:.0f} s", "for all"),
    ]
    body = "".join(
        f'<div class="card"><strong>{value}</strong><small>{text}</small></div>'
        for value, text in cards
    )
    return f'<div class="numbers">{body}</div>'


def _section(attacker: str, results: list[Result]) -> str:
    rows = "".join(
        f'<tr><th scope=row>{escape(each.says)}<div class="reason"><code>{escape(each.command)}'
        f'</code></div></th><td data-label="Figure">{escape(each.figure)}</td>'
        f'<td data-label="Outcome" class="number">{SIGNS[each.outcome]} {each.outcome.value}</td>'
        f'<td data-label="Time" class="number">{each.wall_s:.1f} s</td></tr>'
        for each in results
    )
    return (
        f'<h2>{escape(attacker)}</h2><div class="card scroll"><table class="cards"><thead><tr>'
        "<th scope=col>Claim, and what runs it</th><th scope=col>Figure</th>"
        "<th scope=col class=number>Outcome</th><th scope=col class=number>Time</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _footer(evidence: Evidence) -> str:
    versions = " · ".join(f"{escape(k)} {escape(v)}" for k, v in evidence.versions.items())
    seed = "drawn by the system" if evidence.seed is None else str(evidence.seed)
    return (
        f"<footer><p>{escape(evidence.at)}, {escape(evidence.cpu)}, {escape(evidence.system)}; "
        f"seed of simulated light: {seed}. {versions}</p>"
        f'<p>The same for programs: <a href="{DATA}">{DATA}</a>.</p></footer>'
    )
