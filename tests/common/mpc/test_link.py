"""The links: what they claim of sigma in plaintext, and the secure residual against the plaintext link."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from common.learn.linear.cost import angles
from common.learn.linear.deal import KEPT_BYTES, Masks
from common.learn.linear.descent import Descent
from common.learn.linear.path import Blocks, Step
from common.learn.linear.products import Dealt, DealtSweep
from common.mpc.circle import whole
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import RESIDUAL_SCALE, U_SCALE, LinkScales, Reals, Words, as_words, decode, encode
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.product import Matrices
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.mpc.problems import halves, make_problem
from tests.peers import Trio
from tests.reference import sigmoid

NOTHING = Matrices(*(np.zeros((0, 0), np.uint64) for _ in range(4)))


@pytest.mark.parametrize(
    ("link", "reach", "error"),
    [
        (Fourier(), 128 / 7 - 6, 0.0027),
        (Fourier.of(64), 26.0, 0.0025),
        (Fourier(64, 16), 26.0, 0.0025),
        (Fourier(16, 4), 4.0, 0.0035),
        (Fourier(32, 8, odd=False), 12.0, 0.0031),
        (Fourier(32, 12, odd=False), 12.0, 0.00023),
        (Fourier(64, 16, odd=False), 24.0, 0.003),
    ],
    ids=str,
)
def test_fourier_is_close_to_sigma(link: Fourier, reach: float, error: float) -> None:
    u = np.linspace(-reach, reach, 20_001)
    assert link.reach == pytest.approx(reach)
    assert np.abs(link(u) - sigmoid(u)).max() <= error


def test_fourier_wraps_beyond_its_period() -> None:
    u = np.array([1.0, -5.0])
    assert np.allclose(Fourier()(u + 256 / 7), Fourier()(u))
    assert np.allclose(Fourier()(128 / 7 - u), Fourier()(u))  # mirrored at a quarter of it


def test_a_period_that_is_no_power_of_two_is_one_of_a_multiple() -> None:
    link = Fourier()
    assert (link.times, link.bits) == (7, U_SCALE + 8)
    u = np.array([0.0, 9.0, -9.0, 3.0, 3.0 + 256 / 7])
    turns = link.turns(encode(u, U_SCALE)).astype(np.float64) * 2.0**-16
    off = turns - u * 7 / 256
    assert np.abs(off - np.rint(off)).max() <= 2.0**-17
    shares = halves(encode(u, U_SCALE), np.random.default_rng(1))
    parts = sum(link.turns(shares[party]).astype(np.int64) for party in Party)
    carried = (parts - link.turns(encode(u, U_SCALE)).astype(np.int64)) % 2**16
    assert set(carried.tolist()) <= {0, 1, 2**16 - 1}


@pytest.mark.parametrize("link", [Fourier(), Fourier(64), Fourier(4096, 60), Taylor()], ids=str)
def test_u_of_a_look_ahead_in_forty_bits_is_that_of_all_its_bits_and_right_in_the_mean(link: Link) -> None:
    rng = np.random.default_rng(4)
    x = as_words(rng.integers(-(1 << 12), 1 << 12, (20_000, 6)))
    ahead = encode(rng.standard_normal(6), 28)
    shares = halves(ahead, rng)
    parts = sum(link.turned(x @ link.point(shares[party])).astype(np.int64) for party in Party)
    meant = (x @ ahead * np.uint64(link.times) << np.uint64(64 - link.bits)).astype(np.float64) * 2.0**-48
    off = (parts - meant + 2**15) % 2**16 - 2**15
    assert np.abs(off).max() < 1.01 and abs(off.mean()) < 0.02  # in 2^-16 of a period


def test_terms_are_as_many_as_a_period_needs() -> None:
    assert [Fourier.of(period).terms for period in (16, Fraction(256, 7), 64, 4096)] == [3, 5, 9, 32]
    assert Fourier.of() == Fourier() and Fourier.of(64, 4) == Fourier(64, 4)


def test_taylor_is_the_second_order_expansion() -> None:
    u = np.linspace(-0.1, 0.1, 101)
    assert Taylor().reach == 32.0
    assert np.abs(Taylor()(u) - sigmoid(u)).max() < np.abs(u).max() ** 3 / 48 + 1e-12


def rounded(link: Link, scales: LinkScales) -> float:
    """The most that rounding tables and factors can move a residual, over step / n."""
    if not isinstance(link, Fourier):
        return 2.0 ** -(scales.table + 3)  # a quarter of half a unit of a
    unit = 2.0**-scales.factor / scales.step_over_n
    tables = sum(map(abs, link.coefficients)) * 2.0 ** -(scales.table + 1)
    return math.sqrt(2.0) * (tables + link.terms * unit * (1.0 if scales.coarse else 0.5))


@pytest.mark.parametrize("link", [Fourier(), Fourier(64, 16), Fourier(32, 8, odd=False), Taylor()], ids=str)
def test_tables_match_factors(link: Link) -> None:
    """Angle addition itself, without a share: tables of a times factors of c, plus the public part."""
    rng = np.random.default_rng(2)
    step = Step(0, 0, 500, 2.0, 0)
    u = rng.uniform(-link.reach, link.reach, 500)
    a = rng.integers(0, 2**32, 500, dtype=np.uint32)
    c = np.rint(u / float(link.period) * 2**32).astype(np.int64).astype(np.uint32) - a
    tables = [encode(table, step.scales(link).table) for table in link.table_values(a)]
    factors = list(link.factors(c, step.scales(link)))
    assert len(tables) == len(factors) == link.tables
    total = link.public(c, step.scales(link)) + sum(t * f for t, f in zip(tables, factors, strict=True))
    value = decode(np.asarray(total), step.scales(link).summed) / link.step_over_n(step.scales(link))
    assert np.abs(value - link(u)).max() < 2.0**-13 + rounded(link, step.scales(link))


@pytest.mark.parametrize("dithered", [True, False])
def test_dithered_factors_of_few_bits_are_right_on_average(dithered: bool) -> None:
    """Of a network: seven bits of a factor round the small waves off, in every row alike, unless they are dithered."""
    rng, link, scales = np.random.default_rng(3), Fourier(32, 12, odd=False, dithered=dithered), LinkScales(5, 7, 1.0)
    worst = 0.0
    for u in np.linspace(-6, 6, 25):
        a = rng.integers(0, 2**32, 20_000, dtype=np.uint32)
        c = np.uint32(round(u / 32 * 2**32) % 2**32) - a
        tables = [encode(table, scales.table) for table in link.table_values(a)]
        total = link.public(c, scales) + sum(t * f for t, f in zip(tables, link.factors(c, scales), strict=True))
        worst = max(worst, abs(float(decode(np.asarray(total), scales.residual).mean() - link(np.array([u]))[0])))
    assert worst < 6e-4 if dithered else worst > 2e-3


async def residual(trio: Trio, link: Link, u: Reals, y: Reals, step: Step, offset: Words) -> Reals:
    """What the two parties' shares of the residual sum to, over step / n; their shares of u lack `offset`."""
    shares = halves(encode(u, U_SCALE) - offset, np.random.default_rng(5))

    async def side(session: Session, correlations: DealtCorrelations) -> Words:
        label = y.astype(np.uint8) if session.party is Party.BANK else None
        products, (span,) = Dealt(session, correlations, NOTHING, link), step.spans()
        descent = Descent(session, correlations, products, link, label)
        masked = await descent._masked_u(span, lambda _: link.turns(shares[session.party]))
        await session.post(Kind.MASKED_U, masked.view(np.uint8))
        found = await descent._residual(step, span, masked)
        await DealtSweep(products, step, lambda _: masked, Blocks.zero(0, 0)).give(span, found)
        return found

    async def deal(dealer: Dealer) -> None:
        masks = Masks(dealer._prg, make_problem(20, 1, 1).work([step], link, None), KEPT_BYTES)
        for party, dealt, values in masks._link(step, step.spans()[0], link.turns(offset)):
            await trio.to_party[party].send(dealt, values)

    result = await trio.run(side, deal)
    return decode(result[Party.GRID] + result[Party.BANK], RESIDUAL_SCALE) / link.step_over_n(step.scales(link))


@pytest.mark.parametrize("equivalent", [10, 3_000, 500_000, 10**6, 2**24], ids=lambda rows: f"as over {rows} rows")
@pytest.mark.parametrize("link", [Fourier(), Fourier(64, 12), Fourier(64, 16, odd=False), Taylor(), Taylor(32)], ids=str)
async def test_secure_residual(link: Link, equivalent: int) -> None:
    """Over the whole claimed range, both ends included: as close to the plaintext link as its words are long, and unbiased."""
    rng = np.random.default_rng(0)
    inside = link.reach - 2.0**-15 * float(link.period)  # Taylor's range is open
    u = np.concatenate([np.linspace(-inside, inside, 2001), [0.0, 2.0**-30, -(2.0**-30)]])
    y = rng.integers(0, 2, len(u)).astype(np.float64)
    step = Step(0, 0, len(u), 2.0 * len(u) / equivalent, 0)
    scales = step.scales(link)
    assert scales.step_over_n == pytest.approx(2.0 / equivalent, rel=2.0**-12)
    offset = rng.integers(0, 2**64, len(u), dtype=np.uint64)
    error = await residual(Trio(seed=7), link, u, y, step, offset) - (link(u) - y)
    assert np.abs(error).max() < 2.0**-10 + rounded(link, scales)
    assert abs(error.mean()) < 2.0**-14 + 4.0 * error.std() / math.sqrt(len(u))
    assert error.std() < 0.011  # a thousandth of the variance of a label, in the shortest words too


@pytest.mark.parametrize("rows", [111_618, 300_000, 1_000_000])
@pytest.mark.parametrize("link", [Fourier(), Fourier(64, 10)], ids=str)
def test_short_words_are_right_in_the_mean_where_few_are_overdue(link: Link, rows: int) -> None:
    """At each u, over what is opened: a sine of five bits is too large, by a thirtieth of what one row in a hundred is."""
    scales = LinkScales.choose(4.0, rows, link.least_bits)
    assert scales.coarse
    c = whole(np.arange(1 << 16).astype(np.uint16))  # all that can be opened
    factors = [decode(factor, scales.factor) for factor in link.factors(c, scales)]
    for u in (-7.0, -4.6, -3.0, -1.0, 2.0):
        turn = np.uint32((round(u / float(link.period) * 2**16) << 16) % 2**32)
        tables = (np.rint(values * 2.0**scales.table) * 2.0**-scales.table for values in link.table_values(turn - c))
        found = 0.5 + sum(table * factor for table, factor in zip(tables, factors, strict=True)) / scales.step_over_n
        meant = link(np.array([(int(turn) - (int(turn) >> 31 << 32)) * float(link.period) / 2.0**32]))[0]
        assert abs(float(np.mean(found)) - meant) < 1e-4


def test_step_size_is_kept() -> None:
    """Taylor's factor is one rounded integer of 32 or more: the step it stands for is within a part in 64 of the plan's."""
    for rows in (1000, 10**5, 10**6, 1 << 20, 10**7):
        for link, off in ((Taylor(), 2.0**-6), (Fourier(), 2.0**-11)):
            scales = Step(0, 0, rows, 4.0, 0).scales(link)
            assert link.step_over_n(scales) == pytest.approx(4.0 / rows, rel=off)
            assert link.step_over_n(scales) == pytest.approx(scales.step_over_n, rel=off)


@pytest.mark.parametrize("link", [Fourier(), Fourier(64, 16, odd=False), Taylor()], ids=str)
async def test_cost(link: Link) -> None:
    trio, rows = Trio(), 33
    zeros, step = np.zeros(rows), Step(0, 0, rows, 1.0, 0)
    await residual(trio, link, zeros, zeros, step, np.zeros(rows, np.uint64))
    width = 8 if link == Fourier(64, 16, odd=False) else 6
    assert step.scales(link).width == width
    for party in Party:
        traffic = trio.session[party].traffic
        assert traffic.rounds == 2  # the link's own, and the residual that leaves in the same breath
        assert traffic.sent == {Kind.MASKED_U: 2 * rows, Kind.MASKED_RESIDUAL: 5 * rows}
        assert angles(rows) == traffic.sent[Kind.MASKED_U]
        seed, dealt = (values for _, values in trio.to_party[party].log)
        assert seed.nbytes == 96 and dealt.nbytes == 8 * -(-width * rows * link.tables // 16)
