"""The report that a run of the demo leaves: one page that works anywhere, and the data behind it.

`index.html` needs nothing beside it: style and pictures are inside, no script, no address outside.
What always holds: whatever comes from data is escaped; each file is put in place whole, the page
last, so that an interrupted run leaves the report before it or none, never half of one.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path

from bellwire.base.errors import UsageError
from bellwire.base.style import save
from bellwire.demo.figures import draw
from bellwire.demo.palette import COLOURS, inline_svg
from bellwire.demo.story import Process, Stage, Story, measured
from bellwire.demo.words import Caption, attack, caption, counted, findings, headline

FIGURES = "figures"
PREFIX = ".report-"

ABANDONED_S = 3600.0
"""Age from which a working folder belongs to a run that was killed: writing takes seconds."""

KNOWLEDGE = {
    "link": (
        "both sides' photons, since it plays nature and, in the attacks, Eve",
        "what is said on the classical channel, any key, any reading",
    ),
    "node-a": (
        "its own choices and results, the messages of the classical channel, its keys",
        "node B's results, beyond what B tells in the open; the readings",
    ),
    "node-b": (
        "its own choices and results, the messages of the classical channel, its keys",
        "node A's results, beyond what A tells in the open; the readings",
    ),
    "device": ("its readings, the keys that node A gave it", "photons, other keys"),
    "cloud": ("the readings it decrypted, the keys that node B gave it", "photons, other keys"),
}
"""Process → (what it could see, what it could not)."""


class ReportNotWritable(UsageError):
    """The report's directory cannot be made or written."""


def write_report(story: Story, directory: Path) -> Path:
    """Write `index.html`, `report.json` and `figures/*.svg, *.png` into a directory.

    Files of an earlier report are replaced; others are left alone.

    Returns:
        The path of `index.html`.

    Raises:
        ReportNotWritable: The directory cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Inside the directory, thus on the same file system: a rename is then atomic.
        _sweep(directory)
        working = Path(tempfile.mkdtemp(prefix=PREFIX, dir=directory))
        try:
            return _write(story, directory, working)
        finally:
            shutil.rmtree(working, ignore_errors=True)
    except OSError as error:
        raise ReportNotWritable(
            f"expected a directory for the report that can be written, got {directory}: "
            f"{error.strerror or error}",
            hint="choose another one with --report DIR",
        ) from error


def render(story: Story, pictures: dict[str, str]) -> str:
    """The page as text.

    Args:
        story: What to tell.
        pictures: Name of each picture → its SVG, as `style.save` wrote it.
    """
    sections = [
        _header(story),
        "<main>",
        _numbers(story),
        '<h2 id="pictures">What happened</h2><div class="figures">',
        *(
            _figure(name, svg, caption(name, story), _events(story) if name == "timeline" else "")
            for name, svg in pictures.items()
        ),
        "</div>",
        _stages(story),
        _device(story),
        _processes(story.processes),
        _honesty(story),
        "</main>",
        _footer(story),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f'<link rel="icon" href="data:,"><title>bellwire demo: {escape(headline(story))}</title>'
        f"<style>{style_sheet()}</style></head><body>" + "\n".join(sections) + "</body></html>\n"
    )


def _write(story: Story, directory: Path, working: Path) -> Path:
    """Make everything aside, then move it into place, the page last."""
    pictures = draw(story)
    written = save(pictures, working)
    svgs = {name: (working / f"{name}.svg").read_text("utf-8") for name in pictures}
    data = json.dumps(story.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    (working / "report.json").write_text(data + "\n", "utf-8")
    (working / "index.html").write_text(render(story, svgs), "utf-8", errors="replace")
    (directory / FIGURES).mkdir(exist_ok=True)
    for path in written:
        path.replace(directory / FIGURES / path.name)
    for name in ("report.json", "index.html"):
        with (working / name).open("rb") as file:
            os.fsync(file.fileno())
        (working / name).replace(directory / name)
    return directory / "index.html"


def _sweep(directory: Path) -> None:
    """Remove what killed runs left, never what another run is writing."""
    for path in directory.glob(f"{PREFIX}*"):
        if time.time() - path.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def style_sheet() -> str:
    """The sheet of a report, with the palette's values for light and for dark."""

    def values(which: int) -> str:
        return "".join(f"--c-{name}:{pair[which]};" for name, pair in COLOURS.items())

    light = values(0) + "--ground:#f3f5f8;--link:#00609a;--band:#0b2a4a"
    dark = values(1) + "--ground:#10141a;--link:#7cc4f5;--band:#0a2038"
    sheet = (files("bellwire.demo") / "page.css").read_text("utf-8")
    return f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\n{sheet}"


def _header(story: Story) -> str:
    """The verdict."""
    items = "".join(
        f"<li><b aria-hidden=true>{'✓' if good else '✗'}</b>"
        f"{'' if good else 'Not as it should be: '}{escape(text)}</li>"
        for good, text in findings(story)
    )
    return (
        '<header><div><div class="brand"><span>bellwire</span><span class="badge" '
        f'title="where the keys came from">{escape(story.source)}</span></div>'
        f'<h1>{escape(headline(story))}</h1><ul class="findings">{items}</ul></div></header>'
    )


def _numbers(story: Story) -> str:
    """The big numbers."""
    quiet = next((s for s in story.stages if s.eve is None and s.chsh is not None), None)
    caught = sum(not stage.accepted for stage in story.attacked)
    calm = next((s for s in story.stages if s.eve is None and s.qber is not None), None)
    cards = [(f"{story.secret_bits:,}", "secret bits, net, at both nodes")]
    if quiet is not None:
        value = measured(quiet.chsh, quiet.chsh_stderr, percent=False)
        cards.append((value, "S without Eve; at most 2 without entanglement"))
    if calm is not None:
        value = measured(calm.qber, calm.qber_stderr, percent=True)
        cards.append((value, "QBER without Eve"))
    if story.attacked:
        cards.append((f"{caught} of {len(story.attacked)}", "attacks caught"))
    body = "".join(
        f'<div class="card"><strong>{value}{error and f" <span>± {error}</span>"}</strong>'
        f"<small>{text}</small></div>"
        for full, text in cards
        for value, _, error in (full.partition(" ± "),)
    )
    return f'<div class="numbers">{body}</div>'


def _figure(name: str, svg: str, words: Caption, more: str) -> str:
    """A picture with its words; the drawing is one image to a screen reader."""
    image = inline_svg(svg, name).replace(
        "<svg ", f'<svg role="img" aria-label="{escape(words.alt)}" ', 1
    )
    wide = " wide" if name in ("timeline", "correlations") else ""
    return (
        f'<div class="card{wide}"><figure><figcaption><h3>{escape(words.title)}</h3>'
        f"<p>{escape(words.seen)}</p></figcaption>{image}</figure>{more}"
        f"<details><summary>How is this measured?</summary><p>{escape(words.method)}</p>"
        f'<p>As a file: <a href="{FIGURES}/{name}.svg">SVG</a>, '
        f'<a href="{FIGURES}/{name}.png">PNG</a></p></details></div>'
    )


def _events(story: Story) -> str:
    """The timeline in words."""
    rows = "".join(
        f'<tr><td class="number">{event.t_s:.1f} s</td><td>{escape(event.title)}</td>'
        f"<td>{_status(event.status)}</td></tr>"
        for event in story.timeline
    )
    return (
        f"<details><summary>All {len(story.timeline)} events in words</summary>"
        f'<div class="scroll"><table><tbody>{rows}</tbody></table></div></details>'
    )


def _status(status: str | None) -> str:
    return (
        "" if status is None else f'<span class="status {escape(status)}">{escape(status)}</span>'
    )


def _stages(story: Story) -> str:
    """The table of stages."""
    names = ("Stage", "Eve", "QBER", "S", "Secret bits", "ε", "Verdict", "Status after")
    numbers = ("QBER", "S", "Secret bits", "ε")
    head = "".join(
        f"<th scope=col{' class=number' if name in numbers else ''}>{name}</th>" for name in names
    )
    body = "".join(_stage(stage) for stage in story.stages)
    return (
        '<h2 id="stages">Stage by stage</h2><div class="card scroll"><table class="cards">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        "<p class=muted>± is one standard error. ε is the upper limit of the probability that "
        "anything claimed of the key (secret, equal on both sides) fails.</p></div>"
    )


def _stage(stage: Stage) -> str:
    """A row; its labels show where a narrow screen turns the table into cards."""
    reason = f'<div class="reason">{escape(stage.reason)}</div>' if stage.reason else ""
    cells = (
        ("Eve", "", escape(attack(stage))),
        ("QBER", "number", measured(stage.qber, stage.qber_stderr, percent=True)),
        ("S", "number", measured(stage.chsh, stage.chsh_stderr, percent=False)),
        ("Secret bits", "number", f"{stage.secret_bits:,}"),
        ("ε", "number", "–" if stage.epsilon is None else f"{stage.epsilon:.0e}"),
        ("Verdict", "", f"{'✓' if stage.accepted else '✗'} {stage.verdict}{reason}"),
        ("Status after", "", _status(stage.status)),
    )
    row = "".join(
        f'<td class="{style}{" none" if text == "–" else ""}" data-label="{label}">{text}</td>'
        for label, style, text in cells
    )
    return f"<tr><th scope=row>{escape(stage.title)}</th>{row}</tr>"


def _device(story: Story) -> str:
    """What went from the device to the cloud."""
    device = story.device
    lines = escape("\n".join(device.readings_preview)) or "nothing"
    equal = "✓ equal, byte for byte" if device.intact else "✗ not equal"
    missed = "not seen" if story.eve_left_out is None else "not tried, Eve is left out"
    refusal = f"<dt>Refused on RED</dt><dd>{'yes' if device.refused_while_red else missed}"
    if device.refusal:
        refusal += f": “{escape(device.refusal)}”"
    return (
        '<h2 id="device">From the device to the cloud</h2><div class="pair"><div class="card">'
        f"<h3>What the cloud decrypted</h3><p class=muted>{counted(device.received, 'reading')}, "
        f"{escape(device.origin)}; the first lines:</p><pre>{lines}</pre></div>"
        '<div class="card"><h3>Is it the same?</h3><dl>'
        f"<dt>Sent</dt><dd>{device.sent:,}</dd><dt>Received</dt><dd>{device.received:,}</dd>"
        f'<dt>SHA-256 in</dt><dd class="hash">{escape(device.sha256_in or "–")}</dd>'
        f'<dt>SHA-256 out</dt><dd class="hash">{escape(device.sha256_out or "–")}</dd>'
        f"<dt>Result</dt><dd>{equal}</dd>{refusal}</dd></dl>"
        "<p class=muted>Encrypted with AES-256-GCM under keys derived from all of: "
        f"{_badges(device.protections)}</p></div></div>"
    )


def _badges(names: Iterable[str]) -> str:
    return " ".join(f'<span class="badge">{escape(name)}</span>' for name in names)


def _processes(processes: tuple[Process, ...]) -> str:
    """Who could see what."""
    rows = "".join(
        f"<tr><th scope=row>{escape(process.name)}<div class=reason>process {process.pid}</div>"
        f'</th><td data-label="Saw">{sees}</td><td data-label="Could not see">{never}</td></tr>'
        for process in processes
        for sees, never in (KNOWLEDGE.get(process.name, ("–", "–")),)
    )
    return (
        '<h2 id="processes">Who could see what</h2><div class="card scroll"><table class="cards">'
        "<thead><tr><th scope=col>Process</th><th scope=col>Saw</th>"
        f"<th scope=col>Could not see</th></tr></thead><tbody>{rows}</tbody></table>"
        "<p class=muted>Separate processes with separate stores; between them, only sockets.</p>"
        "</div>"
    )


def _honesty(story: Story) -> str:
    """What the numbers do not prove."""
    lists = "".join(
        f"<p><strong>{escape(protocol.upper())}</strong></p><ul>"
        + "".join(f"<li>{escape(text)}</li>" for text in texts)
        + "</ul>"
        for protocol, texts in story.assumptions.items()
    )
    assumed = f"<details><summary>What the security statement assumes</summary>{lists}</details>"
    spent = story.authentication
    return (
        '<h2 id="honest">What is honest about this</h2><div class="card honest">'
        f"<p>{_badges([story.source])} {escape(story.honesty)}</p>"
        "<p>The classical channel is authenticated with one-time keys: this run used up "
        f"{spent.consumed_bits:,} bits and put back {spent.refilled_bits:,} out of new key. First "
        f"contact rests on a {escape(spent.first_contact)}: no quantum link makes one out of "
        f"nothing.</p>{assumed if lists else ''}</div>"
    )


def _footer(story: Story) -> str:
    versions = " · ".join(f"{escape(k)} {escape(v)}" for k, v in story.versions.items())
    return (
        f"<footer><p>The run took {story.wall_s:.1f} s. {versions}</p><p>The same data for "
        'programs: <a href="report.json">report.json</a>.</p></footer>'
    )
