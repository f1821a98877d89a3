"""The demo's story on a terminal: verdict, stages, data, and where the report lies.

Written for a console of any width: where a table of stages does not fit, each stage becomes two
lines. Colour never stands alone, so plain text says the same. Data is shown literally: it cannot
carry markup or control characters into the terminal.
"""

from collections.abc import Iterable

from rich.box import ROUNDED, SIMPLE
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bellwire.demo.story import Stage, Story, measured
from bellwire.demo.words import attack, findings, headline

WIDE = 100
"""Columns from which the table of stages is legible."""

STATUS_STYLES = {"GREEN": "bold green", "YELLOW": "bold yellow", "RED": "bold red"}


def print_summary(story: Story, console: Console) -> None:
    """Print the whole summary; plain text without boxes where the console is no terminal."""
    console.print(_verdict(story, boxed=console.is_terminal))
    wide = console.width >= WIDE
    console.print(_table(story.stages) if wide else _list(story.stages))
    console.print(_device(story))
    console.print(_clean(f"\n{story.source}: {story.honesty}"), style="dim")
    console.print(Text.assemble("\nReport: ", (_printable(story.report), "bold")), soft_wrap=True)


def _verdict(story: Story, *, boxed: bool) -> RenderableType:
    """Headline and findings."""
    good = story.succeeded
    lines = [
        Text.assemble(("✓ " if ok else "✗ ", "bold green" if ok else "bold red"), _clean(text))
        for ok, text in findings(story)
    ]
    title = Text(headline(story), style="bold green" if good else "bold red")
    if not boxed:
        return Group(title, *lines)
    return Panel(
        Group(*lines),
        title=title,
        title_align="left",
        subtitle=f"{story.wall_s:.1f} s, keys {story.source}",
        subtitle_align="right",
        border_style="green" if good else "red",
        box=ROUNDED,
    )


def _table(stages: Iterable[Stage]) -> Table:
    """One row a stage; the reason of a rejection stands under its title."""
    table = Table(box=SIMPLE, pad_edge=False, header_style="bold")
    table.add_column("Stage", ratio=1)
    table.add_column("Eve")
    for name in ("QBER", "S", "Secret bits"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Link", no_wrap=True)
    for stage in stages:
        title = _clean(stage.title)
        if stage.reason:
            title.append(f"\n{_printable(stage.reason)}", style="dim")
        table.add_row(
            title,
            _clean(attack(stage)),
            measured(stage.qber, stage.qber_stderr, percent=True),
            measured(stage.chsh, stage.chsh_stderr, percent=False),
            f"{stage.secret_bits:,}",
            _verdict_word(stage),
            _status(stage),
        )
    return table


def _list(stages: Iterable[Stage]) -> Group:
    """Stages for a narrow terminal."""
    lines = []
    for stage in stages:
        lines.append(
            Text.assemble(
                "\n", (_printable(stage.title), "bold"), "  ", _verdict_word(stage), "  ",
                _status(stage),
            )
        )  # fmt: skip
        parts = [f"QBER {measured(stage.qber, stage.qber_stderr, percent=True)}"]
        if stage.chsh is not None:
            parts.append(f"S {measured(stage.chsh, stage.chsh_stderr, percent=False)}")
        parts.append(f"{stage.secret_bits:,} secret bits")
        if stage.eve is not None:
            parts.append(f"Eve: {attack(stage)}")
        lines.append(_clean("  " + " · ".join(parts)))
        if stage.reason:
            lines.append(Text(f"  {_printable(stage.reason)}", style="dim"))
    return Group(*lines)


def _device(story: Story) -> Group:
    """What the cloud decrypted."""
    device = story.device
    lines = [
        Text(),
        Text(
            f"The cloud decrypted {device.received:,} of {device.sent:,} readings "
            f"({_printable(device.origin)}):",
            style="bold",
        ),
    ]
    cut = [
        *device.readings_preview[:3],
        f"SHA-256 in   {device.sha256_in or '–'}",
        f"SHA-256 out  {device.sha256_out or '–'}",
    ]
    lines += [Text(f"  {_printable(line)}", no_wrap=True, overflow="ellipsis") for line in cut]
    lines.append(_clean(f"  protected by {', '.join(device.protections)}"))
    if device.refusal:
        lines.append(_clean(f"  on RED the send was refused: {device.refusal}"))
    return Group(*lines)


def _verdict_word(stage: Stage) -> Text:
    return Text("✓ accept", style="green") if stage.accepted else Text("✗ abort", style="red")


def _status(stage: Stage) -> Text:
    return Text(stage.status, style=STATUS_STYLES[stage.status])


def _printable(text: str) -> str:
    """Without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def _clean(text: str) -> Text:
    """Literal text: rich markup in it means nothing."""
    return Text(_printable(text))
