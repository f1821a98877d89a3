"""`bellwire lab repeater`: chains of repeaters against distance, beside the repeaterless bound."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.lab.options import count
from bellwire.cli.options import JsonFlag, SeedOption

if TYPE_CHECKING:
    from bellwire.lab.repeater import ChainRow, ChainWords, RepeaterResult


def command(
    km: Annotated[
        str,
        typer.Option(
            metavar="FROM:TO:N[:log]", help="Distances from Alice to Bob, or one of them."
        ),
    ] = "50:1000:20",
    links: Annotated[
        str, typer.Option(metavar="N[,N…]", help="Elementary links of a chain, 1 to 64.")
    ] = "1,2,4,8",
    purify: Annotated[
        str, typer.Option(metavar="R[,R…]", help="Rounds of purification on each link, 0 to 4.")
    ] = "0",
    pairs: Annotated[
        str, typer.Option(metavar="N", help="Pairs that every chain delivers, such as 1e4.")
    ] = "4000",
    clock: Annotated[
        float, typer.Option(help="Modes per second without repeaters, for comparison.")
    ] = 1e9,
    loss: Annotated[float, typer.Option(help="Attenuation of the fibre, dB/km.")] = 0.2,
    source: Annotated[
        float, typer.Option(help="Probability that an attempt puts a photon into the fibre.")
    ] = 0.9,
    detector: Annotated[float, typer.Option(help="Efficiency of every detector.")] = 0.9,
    dark: Annotated[float, typer.Option(help="Dark counts per detector and attempt.")] = 1e-8,
    fidelity: Annotated[
        float, typer.Option(help="Of a fresh pair, without dark counts, 0.25 to 1.")
    ] = 0.99,
    prepare_s: Annotated[
        float, typer.Option(help="Time of an attempt beyond the light's travel, s.")
    ] = 1e-6,
    modes: Annotated[int, typer.Option(help="Attempts at once on a link.")] = 1,
    memory_s: Annotated[
        float, typer.Option(help="Coherence time of a memory, s; inf for no decay.")
    ] = 1.0,
    memory: Annotated[
        str, typer.Option(metavar="dephasing|depolarising", help="What waiting does to a qubit.")
    ] = "dephasing",
    cutoff_s: Annotated[
        float, typer.Option(help="Longest wait for the other pair, s; inf for no cut-off.")
    ] = float("inf"),
    swap_success: Annotated[
        float, typer.Option(help="Probability that a Bell measurement at a repeater succeeds.")
    ] = 1.0,
    gate_error: Annotated[
        float, typer.Option(help="Probability that a gate fully mixes its two qubits.")
    ] = 0.0,
    order: Annotated[
        str, typer.Option(metavar="nested|sequential", help="Which neighbours are swapped first.")
    ] = "nested",
    store_ends: Annotated[
        bool, typer.Option("--store-ends", help="Alice and Bob store; they do not measure at once.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write table and figure into this folder."),
    ] = None,
    seed: SeedOption = None,
    json: JsonFlag = False,
) -> None:
    """Simulate chains of repeaters: pairs, fidelity and key against distance."""
    from bellwire.lab.repeater import FILES, plan_rows
    from bellwire.lab.repeater import repeater as run_chains

    words: ChainWords = {
        "loss": loss,
        "source": source,
        "detector": detector,
        "dark": dark,
        "fidelity": fidelity,
        "prepare_s": prepare_s,
        "modes": modes,
        "memory_s": memory_s,
        "memory": memory,
        "cutoff_s": cutoff_s,
        "swap_success": swap_success,
        "gate_error": gate_error,
        "order": order,
        "store_ends": store_ends,
    }
    chains, rounds, wanted = (
        _counts("links", links),
        _counts("purify", purify),
        count(pairs, "pairs"),
    )
    total = wanted * len(plan_rows(km, chains, rounds, words))
    with output.progress("chains of repeaters", total=total, unit="pairs") as meter:
        result = run_chains(
            km,
            chains,
            purify=rounds,
            pairs=wanted,
            clock=clock,
            seed=seed,
            progress=meter.advance,
            **words,
        )
        if out is not None:
            meter.describe("table and figure")
            result.save(out)
    if json:
        files = [] if out is None else [out / name for name in FILES]
        output.emit({**result.to_dict(), "files": files})
    else:
        _tell(result, out)


def _counts(name: str, text: str) -> list[int]:
    try:
        return [int(each) for each in text.split(",")]
    except ValueError:
        raise UsageError(
            f"expected {name} as whole numbers with commas, such as 1,2,4, got {text}"
        ) from None


def _tell(result: "RepeaterResult", out: Path | None) -> None:
    """A table of all chains, what is beyond the bound, and where the files are."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"Chains of repeaters, {max(row.pairs for row in result.rows):,} pairs each",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    purified = any(row.purify for row in result.rows)
    chain = "links, purified" if purified else "links"
    for title in (chain, "km", "pairs/s", "fidelity", "QBER X / Z", "key bit/s", "bound bit/s"):
        table.add_column(title, justify="right", no_wrap=title != chain)
    for row in result.rows:
        bound = "–" if row.bound_bps is None else f"{row.bound_bps:.3g}"
        which = f"{row.links}, {row.purify}×" if purified else str(row.links)
        table.add_row(which, f"{row.km:.6g}", *_found(row), bound)
    output.stdout(markup=True).print(table)
    for row in result.rows:
        if row.reason is not None:
            output.stdout().print(f"{row.links} links over {row.km:g} km: {row.reason}")
    _tell_crossings(result)
    if out is not None:
        output.stdout().print(f"Table and figure: {out}/repeater.csv, .parquet, .svg, .png, .json")


def _found(row: "ChainRow") -> list[str]:
    if row.rate_hz is None or row.fidelity is None:
        return ["–"] * 4
    assert row.qber_x is not None
    assert row.qber_z is not None
    assert row.key_rate_bps is not None
    key = f"[green]{row.key_rate_bps:.3g}[/green]" if row.key_rate_bps else "[red]0[/red]"
    fidelity = f"{row.fidelity:.4f} ± {row.fidelity_stderr or 0.0:.4f}"
    errors = f"{100.0 * row.qber_x:.2f} / {row.qber_z:.2%}"
    return [f"{row.rate_hz:.3g}", fidelity, errors, key]


def _tell_crossings(result: "RepeaterResult") -> None:
    crossings = result.crossings()
    for each in crossings:
        against = (
            f"a source of {result.clock_hz:.3g} modes/s"
            if each.measure == "bps"
            else "as many modes"
        )
        what = f"{each.links} links" + (f", purified {each.purify}×," if each.purify else "")
        until = "on" if each.to_km is None else f"to {each.to_km:.0f} km"
        stretch = f"{what} from {each.from_km:.0f} km {until}"
        output.stdout().print(f"Beyond the repeaterless bound for {against}: {stretch}")
    if not crossings:
        output.stdout().print("No chain here gets beyond the repeaterless bound.")
