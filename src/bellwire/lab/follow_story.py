"""A followed block in words: sections of sentences and tables, for a terminal and for a page.

Steps are those of spec/classical-channel.md. Every number is of the run.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Protocol
from bellwire.crypto.one_time_mac import TAG_BYTES
from bellwire.distill.reconciliation import Method
from bellwire.distill.sifting import SHARE_BITS
from bellwire.distill.verdict import CLASSICAL
from bellwire.lab.follow import Followed, Message
from bellwire.lab.narration import eve_is, setting

ROUNDS_TOLD = (1, 2, 3, 5, 10, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000, 2000, 5000, 10000)

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Heads and rows; all columns but the first `words` are numbers."""

    heads: Row
    rows: tuple[Row, ...]
    words: int = 1


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the story.

    Attributes:
        name: To choose it by.
        title: With the steps of the specification.
        text: Paragraphs, and tables between them.
        figure: (name, what it shows) of a picture at its end, or None.
    """

    name: str
    title: str
    text: tuple[str | Table, ...]
    figure: tuple[str, str] | None = None


def story(followed: Followed) -> tuple[Section, ...]:
    """The sections that a block came to, from light to key."""
    makers: tuple[Callable[[Followed], Section | None], ...] = (
        _light,
        _open,
        _received,
        _announced,
        _tested,
        _decided,
        _reconciliation,
        _length,
        _proof,
        _tagged,
        _epsilon,
        _wire,
    )
    return tuple(section for maker in makers if (section := maker(followed)) is not None)


def _angles(followed: Followed) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if followed.protocol is Protocol.E91:
        return _degrees(ALICE_ANGLES), _degrees(BOB_ANGLES)
    return (0.0, 90.0), (0.0, 90.0)


def _degrees(angles: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(math.degrees, angles))


def _light_word(followed: Followed) -> str:
    source = followed.experiment.source
    if source is not None:
        return f"windows of {source.mean_pairs:g} pairs on average"
    return "pairs" if followed.protocol.entangled else "pulses"


def _tiny(value: float) -> str:
    """A small probability, to three digits, such as 1.25·10⁻¹¹."""
    digits, exponent = f"{value:.2e}".split("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    digits = digits.rstrip("0").rstrip(".")
    return power if digits == "1" else f"{digits}·{power}"


def _light(followed: Followed) -> Section:
    given, report = followed.experiment, followed.report
    link = given.config
    share = report.detected / report.pulses
    seed = "drawn by the system" if given.seed is None else f"{given.seed}"
    return Section(
        "light",
        "The light",
        (
            f"The block has {report.pulses:,} {_light_word(followed)} over {link.fibre_km:g} km of "
            f"fibre, to detectors of efficiency {link.detector_efficiency:g}; the optics alone "
            f"turn {link.misalignment:.1%} of the bits. On the line: {eve_is(given.eve)}. The seed "
            f"is {seed}. {report.detected:,} slots were detected"
            + (" at both sides" if followed.protocol.entangled else " by Bob")
            + f", {share:.1%} of what was sent. From here on each side has its own half, and all "
            "else is said aloud.",
        ),
    )


def _open(followed: Followed) -> Section:
    given, message = followed.experiment, _first(followed, "Open")
    return Section(
        "open",
        "Step 0: what block this is",
        (
            f"Alice says and Bob repeats, {message.alice_bytes} bytes each: number and size of the "
            f"block, a sample share of {given.sample_share:g}, ε = {_tiny(given.epsilon)}, the "
            f"limits QBER {given.red_qber:.0%} and S {given.chsh_floor:g}. So neither side can be "
            "led to judge by other rules.",
        ),
    )


def _received(followed: Followed) -> Section | None:
    message, report = followed.step("Received"), followed.report
    if message is None:
        return None
    coded = 8 * message.bob_bytes / max(1, report.detected)
    return Section(
        "received",
        "Step 1: which slots clicked",
        (
            f"Bob names the slots that his detectors registered, in {message.bob_bytes:,} bytes "
            f"({coded:.2g} bits a common slot), Alice hers in {message.alice_bytes:,}"
            + (". " if followed.protocol.entangled else ": none, since she prepares. ")
            + f"Each list carries a one-time tag of {TAG_BYTES} bytes. Bases open only once it has "
            "been checked: whoever hears them has already said what was received.",
        ),
    )


def _announced(followed: Followed) -> Section | None:
    message, report = followed.step("Announced"), followed.report
    if message is None or not followed.cells:
        return None
    bits = 8 * report.sifting_bytes / max(1, report.detected)
    alices, bobs = _angles(followed)
    counts = {(a, b): slots for a, b, slots in followed.cells}
    division = Table(
        ("Alice \\ Bob", *(setting(followed.protocol, angle) for angle in bobs)),
        tuple(
            (
                setting(followed.protocol, angle),
                *(f"{counts[a, b]:,}" for b in range(len(bobs))),
            )
            for a, angle in enumerate(alices)
        ),
    )
    return Section(
        "announced",
        "Step 2: bases, and what each slot serves",
        (
            f"Both say how they were set, Alice in {message.alice_bytes:,} bytes and Bob in "
            f"{message.bob_bytes:,}, 32 of which are a fresh nonce. Steps 1 and 2 together cost "
            f"{report.sifting_bytes:,} bytes, {bits:.2f} bits for each slot, both ways together. "
            "The slots divide so:",
            division,
            _use(followed),
            f"The first {len(followed.first_slots)} common slots:",
            _first_slots(followed),
            "“Secret” is not left out here: it never crossed the wire, and no page or document of "
            "this run has it.",
        ),
    )


def _use(followed: Followed) -> str:
    report = followed.report
    if followed.protocol.judged_on_chsh:
        return (
            f"Equal angles, 45° and 45°, 90° and 90°, are the key: {report.sifted_bits:,} bits. "
            f"All others, {report.detected - report.sifted_bits:,}, are opened: four of them make "
            "S."
        )
    share = round(followed.experiment.sample_share * 2**SHARE_BITS) / 2**SHARE_BITS
    tested = sum(each.bits for each in followed.compared)
    return (
        f"Equal bases are kept, {report.sifted_bits:,} bits; where they differ, the outcome is a "
        f"coin’s. The two nonces draw the sample, each kept slot with probability {share:.4f}: "
        f"{tested:,} bits are tested, {report.sifted_bits - tested:,} stay secret."
    )


def _first_slots(followed: Followed) -> Table:
    alices, bobs = _angles(followed)
    rows = []
    for each in followed.first_slots:
        opened = "–" if each.use == "dropped" else "secret"
        if each.opened is not None:
            opened = "{} and {}".format(*each.opened)
        rows.append(
            (
                f"{each.slot}",
                setting(followed.protocol, alices[each.alice]),
                setting(followed.protocol, bobs[each.bob]),
                each.use,
                opened,
            )
        )
    return Table(("slot", "Alice", "Bob", "serves", "outcomes"), tuple(rows), words=5)


def _tested(followed: Followed) -> Section | None:
    message = followed.step("Tested")
    if message is None:
        return None
    opened = (
        f"Both open their outcomes at the test slots, {message.alice_bytes:,} bytes each way. "
        "Both count alike:"
    )
    if followed.protocol.judged_on_chsh:
        return Section("tested", "Step 3: the test", (opened, *_bell(followed)))
    rows = tuple(
        (
            each.name,
            f"{each.bits:,}",
            f"{each.errors:,}",
            f"{each.qber:.2%} ± {each.stderr:.2%}",
            f"{each.lower:.2%} … {each.upper:.2%}",
        )
        for each in followed.compared
    )
    return Section(
        "tested",
        "Step 3: the test",
        (
            opened,
            Table(("", "compared", "wrong", "QBER ± std. error", "limits"), rows),
            f"Each limit is wrong with probability ε₁ = {_tiny(followed.budget.estimation)} at "
            "most (Hoeffding).",
        ),
    )


def _bell(followed: Followed) -> Iterator[str | Table]:
    report = followed.report
    rows = tuple(
        (
            f"{each['alice_deg']:.0f}°, {each['bob_deg']:.0f}°",
            f"{each['pairs']:,.0f}",
            f"{each['value']:+.4f} ± {each['stderr']:.4f}".replace("-", "−"),
        )
        for each in report.correlations
        if report.key_bits == 0 or each["alice_deg"] != each["bob_deg"]
    )
    yield Table(("Alice, Bob", "pairs", "E ± std. error"), rows)
    if report.chsh is not None:
        yield (
            f"S = {report.chsh:.4f} ± {report.chsh_stderr:.4f}; except with probability "
            f"4·ε₁, ε₁ = {_tiny(followed.budget.estimation)}, it is above {report.chsh_lower:.4f}. "
            f"Without entanglement it is at most {CLASSICAL:g}."
        )


def _decided(followed: Followed) -> Section | None:
    if followed.step("Decided") is None:
        return None
    report, rules = followed.report, followed.experiment
    if report.chsh is not None:
        judged = (
            f"S = {report.chsh:.3f} against {rules.chsh_floor:g}, its lower limit "
            f"{report.chsh_lower:.3f} against {CLASSICAL:g}"
        )
    else:
        basis = " of each basis" if rules.rectilinear != 0.5 else ""
        judged = f"the QBER{basis} against {rules.red_qber:.0%}"
    if followed.rounds:
        verdict = f"Both judge {judged}: **go on**."
    else:
        verdict = (
            f"Both judge {judged}: **rejected**, {report.message}. Both open all the rest, since "
            f"it will never be a key: QBER {report.qber or 0.0:.2%} of all "
            f"{report.sample_bits:,} bits. The block ends here."
        )
    return Section("decided", "Step 4: the verdict", (verdict,))


def _reconciliation(followed: Followed) -> Section | None:
    rounds, report = followed.rounds, followed.report
    if not rounds:
        return None
    plan = followed.layout
    expected = followed.expected_qber or 0.0
    text: list[str | Table] = []
    if followed.method is Method.LDPC:
        text.append(
            f"A low-density code is chosen for {expected:.2%} errors. Alice announces checks of "
            "her key in the odd rounds; in the even ones Bob says of which frames he needs more, "
            "and at last how many bits were wrong. Where, he alone knows."
        )
        text.append(_check_table(followed))
    elif plan is None:
        text.append(
            f"So short or so noisy a key ({expected:.1%} of its bits expected wrong) is said bit "
            "by bit."
        )
    else:
        text.append(
            f"Cascade prepares for {expected:.2%} errors. {plan.frames} "
            f"frame{'s' * (plan.frames > 1)} of {plan.frame:,} places; blocks of {plan.first} in "
            f"the first order and of {plan.second} in the second. The opening, with the verdict in "
            f"step 4, has {rounds[0].parities:,} parities each way, and {rounds[0].different:,} of "
            "them differ. It begins:"
        )
        text.append(_first_parities(followed))
        text.append(
            "From then on each message has the parities that follow from what was said. Nobody "
            "asks, so a round costs one latency."
        )
        text.append(_round_table(followed))
    if report.key_bits:
        wrong = rounds[-1].found
        text.append(
            f"Steps 4 to {3 + len(rounds)}, {len(rounds)} rounds: {wrong:,} errors found in "
            f"{report.key_bits:,} bits, {wrong / report.key_bits:.2%}. What Alice announced of "
            f"them leaked: **{report.leaked_bits:,} bits**"
            + (f", f = {report.efficiency:.4f} times n·h(QBER)" if report.efficiency else "")
            + f". The QBER of all bits whose error is known is now {report.qber or 0.0:.3%} ± "
            f"{report.qber_stderr or 0.0:.3%}."
        )
    if not report.accepted and not followed.parts:
        text.append(f"The block ends here, rejected: {report.message}.")
    shown = "Parities announced, and errors found, by round"
    return Section(
        "reconciliation",
        f"Steps 4 to {3 + len(rounds)}: reconciliation",
        tuple(text),
        ("rounds", shown) if plan is not None and len(rounds) > 1 else None,
    )


def _first_parities(followed: Followed) -> Table:
    assert followed.first_parities is not None
    alice, bob = followed.first_parities
    marks = "".join("·↑"[a != b] for a, b in zip(alice, bob, strict=True))
    rows = (("Alice", alice), ("Bob", bob), ("different", marks))
    return Table(("", f"first {len(alice)} parities"), tuple((n, f"`{p}`") for n, p in rows), 2)


def _check_table(followed: Followed) -> Table:
    rows = tuple(
        (f"{each.number}", f"{each.parities:,}", f"{each.found:,}" if each.found else "–")
        for each in followed.rounds
    )
    return Table(("round", "checks", "errors known"), rows, words=0)


def _round_table(followed: Followed) -> Table:
    rounds = followed.rounds
    told = [each for each in rounds if each.number in ROUNDS_TOLD or each is rounds[-1]]
    said = 0
    announced = [said := said + each.parities for each in rounds]
    rows = tuple(
        (
            f"{each.number}",
            f"{each.parities:,}",
            f"{each.different or 0:,}",
            f"{announced[each.number - 1]:,}",
            f"{each.found:,}",
        )
        for each in told
    )
    return Table(
        ("round", "parities", "of them different", "parities so far", "errors found"), rows, words=0
    )


def _length(followed: Followed) -> Section | None:
    report, parts = followed.report, followed.parts
    if not parts:
        return None
    rows = tuple(
        (
            each.name,
            f"{each.bits:,}",
            f"{each.observed:.2%}",
            f"{each.phase_error:.3%}",
            f"{each.left:,.1f}",
        )
        for each in parts
    )
    whole = sum(each.left for each in parts)
    cost = followed.amplification_cost
    sums = (
        ("Σ n·(1 − h(e))", f"{whole:,.1f}"),
        ("− leaked", f"−{report.leaked_bits:,}"),
        ("− hash of the verification", f"−{report.verification_bits}"),
        (f"− 2·log₂(1 / 2ε_PA), ε_PA = {_tiny(followed.budget.amplification)}", f"−{cost:.1f}"),
        ("= length, rounded down, not below 0", f"{report.extracted_bits:,}"),
        ("− pads of the four tags", f"−{report.authentication_bits}"),
        ("= net", f"{report.extracted_bits - report.authentication_bits:,}".replace("-", "−")),
    )
    text: list[str | Table] = [
        _phase_errors(followed),
        Table(("part of the key", "n", "seen", "e", "n·(1 − h(e))"), rows),
        "From there the length, term by term:",
        Table(("", "bits"), sums),
    ]
    if not report.accepted:
        text.append(f"The block ends here, rejected: {report.message}.")
    figure = ("bits", "Where the bits of the block go, stage by stage")
    return Section("length", "How much key", tuple(text), figure)


def _phase_errors(followed: Followed) -> str:
    smoothing = _tiny(followed.budget.smoothing)
    if followed.protocol.judged_on_chsh:
        return (
            "What Eve may know follows from the phase errors: what the same pairs would have shown "
            "in the complement of their setting. Two of the opened correlations give it "
            "(*seen*: ½(1 − E) of the complement). Both at their limits, enlarged by what n bits "
            "may exceed their mean by except with probability ε′² / 2, give e; "
            f"ε′ = {smoothing}."
        )
    return (
        "What Eve may know follows from the phase errors: what the same bits would have shown in "
        "the other basis. There the sample was compared (*seen*), and by drawing without "
        "replacement (Hoeffding) each part of the key has no more than e, except with probability "
        f"ε′² / 2; ε′ = {smoothing}."
    )


def _proof(followed: Followed) -> Section | None:
    message, report = followed.step("Proof"), followed.report
    if message is None or not report.accepted:
        return None
    return Section(
        "proof",
        f"Step {message.step}: verification and amplification",
        (
            f"Alice, in {message.alice_bytes:,} bytes: a fresh hash key, the "
            f"{report.verification_bits} bits of her key’s hash, and {followed.seed_bits:,} bits "
            "of seed. Bob’s key hashes alike; keys that differ would do so with probability "
            f"{_tiny(followed.collision or 0.0)} at most. Both then multiply their "
            f"{report.key_bits:,} bits with the matrix that the seed writes, and keep "
            f"{report.extracted_bits:,}.",
        ),
    )


def _tagged(followed: Followed) -> Section | None:
    tagged, stored = followed.step("Tagged"), followed.step("Stored")
    if tagged is None or stored is None:
        return None
    report = followed.report
    equal = "**equal**" if followed.keys_match else "**not equal**"
    return Section(
        "tagged",
        f"Steps {tagged.step} and {stored.step}: tags, and “stored”",
        (
            f"Each side tags the whole transcript with {TAG_BYTES} bytes, and checks the peer’s "
            f"tag. With the two of step 1 that took {report.authentication_bits} bits of pads. "
            f"Then each keeps the block and says so. **{report.secret_bits:,} secret bits** are "
            f"the net, and both sides’ keys are {equal}.",
        ),
    )


def _epsilon(followed: Followed) -> Section | None:
    if not followed.epsilon:
        return None
    rows = tuple((each.name, _tiny(each.epsilon)) for each in followed.epsilon)
    total = followed.report.epsilon or 0.0
    return Section(
        "epsilon",
        "How sure",
        (
            "What may go wrong, part by part; the parts add:",
            Table(("", "ε"), (*rows, ("all", _tiny(total)))),
            f"{_tiny(followed.experiment.epsilon)} was allowed."
            + (
                ""
                if followed.protocol.judged_on_chsh
                else " The first part is E91’s, and counted here all the same."
            ),
        ),
    )


def _wire(followed: Followed) -> Section:
    report = followed.report
    rows = []
    for name, steps in _grouped(followed.messages):
        first, last = steps[0].step, steps[-1].step
        rows.append(
            (
                f"{first}" if first == last else f"{first} … {last}",
                name,
                f"{sum(each.alice_bytes for each in steps):,}",
                f"{sum(each.bob_bytes for each in steps):,}",
            )
        )
    for_each = (
        f", {report.transcript_bytes / report.secret_bits:.2f} bytes for each secret bit"
        if report.secret_bits
        else ""
    )
    return Section(
        "wire",
        "What crossed the wire",
        (
            "Bodies of the messages, in bytes:",
            Table(("step", "message", "Alice’s", "Bob’s"), tuple(rows), words=2),
            f"The report’s transcript, up to the last tag, with step numbers and lengths: "
            f"{report.transcript_bytes:,} bytes{for_each}. {len(followed.messages)} messages from "
            "each side.",
        ),
    )


def _grouped(messages: Iterable[Message]) -> Iterator[tuple[str, list[Message]]]:
    """Messages of one name that follow one another, together."""
    group: list[Message] = []
    for message in messages:
        if group and group[0].name != message.name:
            yield group[0].name, group
            group = []
        group.append(message)
    if group:
        yield group[0].name, group


def _first(followed: Followed, name: str) -> Message:
    message = followed.step(name)
    assert message is not None
    return message
