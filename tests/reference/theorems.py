"""The theorems' formulas once more, with 60 digits, in another order and without any search.

Where a theorem leaves a number free, it is an argument here. Written from the formulas as
docs/explanation/theorems.md states them.
"""

from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import wraps

DIGITS = 60
Number = Decimal | int | float | str


def precise(function: Callable[..., Decimal]) -> Callable[..., Decimal]:
    """Evaluate with `DIGITS` digits; floats are taken as exactly what they are."""

    @wraps(function)
    def evaluated(*given: Number) -> Decimal:
        with localcontext() as context:
            context.prec = DIGITS
            return function(*map(Decimal, given))

    return evaluated


def log2(x: Decimal) -> Decimal:
    return x.log10() / Decimal(2).log10()


def entropy(p: Decimal) -> Decimal:
    """h, through one logarithm of a product."""
    if p in {0, 1}:
        return Decimal(0)
    return -log2(p**p * (1 - p) ** (1 - p))


@precise
def tomamichel_2012(
    n: Decimal, k: Decimal, tolerated: Decimal, leaked: Decimal, *epsilons: Decimal
) -> Decimal:
    """Theorem 2, as the sum of what (S3) takes with ε = ε_sec/4 and ε̃ = ε_sec/2; not cut."""
    secrecy, correctness = epsilons
    first, second = secrecy / 4, secrecy / 2
    squared = (1 / n + 1 / k) * (1 + 1 / k) * (-first.ln())
    phase = entropy(tolerated + squared.sqrt())
    return n - n * phase - leaked - 2 * log2(1 / (2 * second)) - log2(2 / correctness)


@precise
def tomamichel_leverrier_2017(
    m: Decimal, k: Decimal, delta: Decimal, nu: Decimal, *costs: Decimal
) -> Decimal:
    """The total ε of a key of this length, for these leaked bits and this hash."""
    leaked, tag, length = costs
    rest = m - k
    estimation = 2 / ((rest / m) * k * (k / (k + 1)) * nu**2).exp()
    exponent = length + tag + leaked - rest * (1 - entropy(delta + nu))
    return estimation + (Decimal(2) ** exponent).sqrt() / 2 + 1 / Decimal(2) ** tag


@precise
def lim_2014(*given: Decimal) -> Decimal:
    """(1) to (5): means, shares, key, tested, errors (three each), leaked, ε_sec, ε_cor."""
    mu, p, key, tested, errors = (list(given[i : i + 3]) for i in range(0, 15, 3))
    leaked, secrecy, correctness = given[15:]
    scale = [mean.exp() / share for mean, share in zip(mu, p, strict=True)]
    empty = sum(1 / each for each in scale)
    lone = sum(mean / each for mean, each in zip(mu, scale, strict=True))

    def around(seen: list[Decimal], sign: int) -> list[Decimal]:
        width = (sum(seen) * (21 / secrecy).ln() / 2).sqrt()
        return [factor * (each + sign * width) for factor, each in zip(scale, seen, strict=True)]

    def lowest(seen: list[Decimal]) -> tuple[Decimal, Decimal]:
        low, high = around(seen, -1), around(seen, 1)
        zero = empty * (mu[1] * low[2] - mu[2] * high[1]) / (mu[1] - mu[2])
        zero = max(Decimal(0), zero)
        ratio = (mu[1] ** 2 - mu[2] ** 2) / mu[0] ** 2
        inner = low[1] - high[2] - ratio * (high[0] - zero / empty)
        return zero, lone * mu[0] * inner / (mu[0] * (mu[1] - mu[2]) - mu[1] ** 2 + mu[2] ** 2)

    zero, one = lowest(key)
    _, other = lowest(tested)
    wrong = lone * (around(errors, 1)[1] - around(errors, -1)[2]) / (mu[1] - mu[2])
    phase = wrong / other
    phase += gamma(phase, one, other, secrecy / 21)
    costs = 6 * log2(21 / secrecy) + log2(2 / correctness)
    return zero + one * (1 - entropy(phase)) - leaked - costs


@precise
def rusca_2018(*given: Decimal) -> Decimal:
    """(A16) to (A25): means, shares, key, its errors, tested, errors (two each), leaked, ε's."""
    mu, p, key, bad, tested, errors = (list(given[i : i + 2]) for i in range(0, 12, 2))
    leaked, secrecy, correctness = given[12:]
    tau = [sum(q * (-k).exp() * k**n for k, q in zip(mu, p, strict=True)) for n in (0, 1)]

    def delta(seen: list[Decimal]) -> Decimal:
        return ((19 / secrecy).ln() * (seen[0] + seen[1]) / 2).sqrt()

    def bound(seen: list[Decimal], k: int, sign: int) -> Decimal:
        return (seen[k] + sign * delta(seen)) * mu[k].exp() / p[k]

    def single(seen: list[Decimal], wrong: list[Decimal]) -> Decimal:
        vacuum = 2 * tau[0] * bound(wrong, 1, 1) + 2 * delta(seen)
        inner = (
            mu[0] ** 2 * bound(seen, 1, -1)
            - mu[1] ** 2 * bound(seen, 0, 1)
            - (mu[0] ** 2 - mu[1] ** 2) * vacuum / tau[0]
        )
        return tau[1] * inner / (mu[0] * mu[1] * (mu[0] - mu[1]))

    one, other = single(key, bad), single(tested, errors)
    zero = tau[0] * (mu[0] * bound(key, 1, -1) - mu[1] * bound(key, 0, 1)) / (mu[0] - mu[1])
    zero = max(Decimal(0), zero)
    phase = tau[1] * (bound(errors, 0, 1) - bound(errors, 1, -1)) / (mu[0] - mu[1]) / other
    phase += gamma(phase, one, other, secrecy / 21)
    costs = 6 * log2(19 / secrecy) + log2(2 / correctness)
    return zero + one * (1 - entropy(phase)) - leaked - costs


def gamma(b: Decimal, c: Decimal, d: Decimal, epsilon: Decimal) -> Decimal:
    whole = (1 / c + 1 / d) / (b - b * b)
    return (b - b * b) * (whole * log2(whole / epsilon**2) / Decimal(2).ln()).sqrt()


@precise
def acin_2007(qber: Decimal, chsh: Decimal) -> Decimal:
    """1 − h(Q) − χ(S)."""
    return 1 - entropy(qber) - entropy((2 + (chsh**2 - 4).sqrt()) / 4)


@precise
def arnon_friedman_2018(
    n: Decimal,
    share: Decimal,
    won: Decimal,
    tests: Decimal,
    leaked: Decimal,
    secrecy: Decimal,
    correctness: Decimal,
    at: Decimal,
    over_one: Decimal,
) -> Decimal:
    """The length for this tangent and this α − 1; not cut. The slope is a difference quotient."""
    step = Decimal(10) ** -20

    def eta(score: Decimal) -> Decimal:
        return acin_2007(0, 8 * score - 4)

    slope = (eta(at + step) - eta(at - step)) / (2 * step)
    flat = eta(at) + slope * (1 - at)  # the tangent where every test is won
    least = flat - slope * (2 + Decimal(2).sqrt()) / 4
    variance = slope**2 * (2 + Decimal(2).sqrt()) / 4 / share
    power = Decimal(2) ** (4 + flat - least)
    width = log2(Decimal(33)) + (2 + variance).sqrt()
    cubic = power**over_one * (power + Decimal(2).exp()).ln() ** 3
    cubic /= 6 * (1 - over_one) ** 3 * Decimal(2).ln()
    smoothing = secrecy / 4
    total = n * (flat - slope * (1 - won))
    total -= n * over_one * Decimal(2).ln() * width**2 / 2 + n * over_one**2 * cubic
    total -= (log2(2 / smoothing**2) + (1 + over_one) * log2(1 / secrecy)) / over_one
    return total - tests - leaked - log2(2 / correctness) - 2 * log2(1 / secrecy)
