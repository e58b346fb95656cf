"""Gaussians on intervals: against frozen numbers, SciPy and adaptive quadrature, and what any interval must obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erfcx, expit, log_ndtr
from scipy.stats import norm, truncnorm

from mixtura.intervals import _NODES, CUT, FARTHEST, NARROWEST, RULES, _falling, in_interval

EPS = float(np.finfo(np.float64).eps)

FROZEN = """
-inf 0 0 1 -0.69314718055994531 -0.79788456080286536 1.0
-inf -1.5 0.25 1 -3.2173979958002738 -2.1537477466092247 4.7690585565661432
-inf 2.5 0.3 0.7 -0.00083688745371172547 -0.0020021131125823538 0.48559535115231876
-3 inf 0 1 -0.0013508099647481938 0.0044378390421256638 0.98668648287362301
0.1 inf 0 1 -0.77615459273027333 0.86261747153093614 1.0862617471530936
37 inf 0 1 -689.03058557689059 37.02698768612699 1370.9985443866986
-inf -1e4 0 1 -50000010.129278915 -10000.000099999998 100000001.99999998
1e8 inf 0 1 -5000000000000019.3 100000000.00000001 10000000000000002.0
-1 1 0 1 -0.38171514630212607 0.0 0.29112509477279321
-1 1.0000001 0 1 -0.38171511085838319 3.5443744025795688e-8 0.29112511989797619
-0.5 3 0 1 -0.37090055956203252 0.50373445850494508 0.7256560469955284
-8 8.5 0 1 -6.3157559224938193e-16 4.9706087272201999e-15 0.99999999999995889
-12 3 1 2 -0.172753779071183 -0.57519994127122 2.8496001079386679
-40 41 0.5 1 -1.3135865601992551e-358 0.0 1.0
1e-300 9 0 1 -0.69314718055994531 0.79788456080286535 0.99999999999999998
-0.3 0.4 0 1 -1.2970638476386886 0.047991524244141096 0.042471110634475343
-0.1 0.12 0 1 -2.4351311050071133 0.0099597317034928142 0.0041260252586067113
-0.01 0.4 0 1 -1.8362688919319343 0.19228393682595825 0.050898705117665527
-1e-12 1e-12 0 1 -27.856812468573276 0.0 3.3333333333333332e-25
-1e-300 1e-300 0 1 -691.00131925085843 0.0 3.3333333333333335e-601
0 1 0 1 -1.0748623268620714 0.4598622292864265 0.29112509477279321
1 1.75 0 1 -2.1320317013272895 1.3128037898568773 1.7671872753186446
0.25 0.95 0 1 -1.4686436856192353 0.57596626388980692 0.37156612508913536
0.25 0.9 0 1 -1.5267822416609541 0.55508399819298199 0.34259833996598367
2 4 0 1 -3.7845774380253266 2.37063315968317 5.7294846914211419
2 4.8 0 1 -3.7832192056549208 2.3731241648743983 5.745760771071151
2 4.9 0 1 -3.7832053967828633 2.3731583119252618 5.7460057186144664
-7 -6.5 1 2 -9.7769246244265761 -7.7103333948792564 59.469094168881868
5 6 0 0.01 -125007.13355063158 5.0000199998400032 25.000199999200016
3 3.000000000001 0 1 -33.049870752503803 3.0000000000005 9.0000000000030003
0 1e-12 8 1 -60.549959649129221 -7.9999999999995 63.999999999992
-1e-12 0 -30 1 -478.54995964911822 29.9999999999995 899.99999999997
0 1e-12 1e8 1 -5000000000000028.5 -100000000.0 10000000000000000.0
20 20.5 0 1 -203.91719446460898 20.04973356838186 401.99426970227532
30 30.01 0 1 -455.67037695858596 30.00475033354834 900.28505087449623
100 101 0 1 -5005.5242086942051 100.00999800099926 10001.999800099926
1e8 100000001 0 1 -5000000000000019.3 100000000.00000001 10000000000000002.0
0 1e-8 1e8 1 -5000000000000018.8 -99999999.999999994 9999999999999998.8
1e-9 3e-9 2e-9 5e-10 -0.046567912292390187 -2.3394600890628012e-26 1.9343532588748082e-19
1e120 3e120 1.5e120 2e120 -0.98864915340665488 4.597447895970788e+119 5.3277796967553998e+239
"""
"""Lower edge, upper edge, mean, deviation; log P, first and second moment (see ``test_frozen``)."""


def assert_right(found, log_p, first, second, width, deviation):
    """P to 1e-14 of it or log P to four units in its last place, the first moment to two of those or 1e-14 of what it
    can move by, and the second to 1e-14 of it."""
    assert (np.abs(found[0] - log_p) <= 1e-14 + 4 * EPS * np.abs(log_p)).all()
    assert (np.abs(found[1] - first) <= 2 * np.spacing(np.abs(first)) + 1e-14 * np.minimum(width, deviation)).all()
    np.testing.assert_allclose(found[2], second, rtol=1e-14)


def intervals(rng, n, *, least=-12, most=1.5, far=6):
    """Lower edges, upper edges, means and deviations (n,) of intervals of all lengths, far and near, on both sides."""
    deviation = 10 ** rng.uniform(-3, 3, n)
    mean = rng.normal(size=n) * 10 ** rng.uniform(-2, 2, n)
    at = rng.choice([-1, 1], n) * 10 ** rng.uniform(-2, far, n)
    width = 10 ** rng.uniform(least, most, n)
    lower, upper = mean + (at - 0.5 * width) * deviation, mean + (at + 0.5 * width) * deviation
    kept = lower < upper
    return lower[kept], upper[kept], mean[kept], deviation[kept]


# numbers from elsewhere ---------------------------------------------------------------------------------------------


def test_frozen():
    """Numbers with 17 digits, of these lines in a thousand; the first four words of FROZEN are read.

    import sys
    from mpmath import erfc, exp, isinf, log, mp, mpf, nstr, pi, sqrt

    mp.dps = 1000

    def tail(t):
        return erfc(t / sqrt(2)) / 2

    def phi(t):
        return mpf(0) if isinf(t) else exp(-t * t / 2) / sqrt(2 * pi)

    for line in sys.stdin:
        lower, upper, mean, deviation = (mpf(float(word)) for word in line.split())
        a, b = (lower - mean) / deviation, (upper - mean) / deviation
        p = tail(a) - tail(b) if a > 0 else tail(-b) - tail(-a)
        first = (phi(a) - phi(b)) / p
        second = 1 + ((0 if isinf(a) else a * phi(a)) - (0 if isinf(b) else b * phi(b))) / p
        print(*line.split(), *(nstr(x, 17) for x in (log(p), first * deviation, second * deviation**2)))
    """
    lower, upper, mean, deviation, *expected = np.array([line.split() for line in FROZEN.split("\n")[1:-1]], float).T
    assert_right(in_interval(lower, upper, mean, deviation), *expected, upper - lower, deviation)
    mirrored = in_interval(-upper, -lower, -mean, deviation)
    assert_right(mirrored, expected[0], -expected[1], expected[2], upper - lower, deviation)


def test_half_lines():
    t = np.concatenate([np.linspace(-8, 8, 161), np.geomspace(8, 1e8, 60)])
    found = in_interval(t, np.full(len(t), np.inf), np.float64(0), np.float64(1))
    hazard = np.sqrt(2 / np.pi) / erfcx(t / np.sqrt(2))
    np.testing.assert_allclose(found[0], log_ndtr(-t), rtol=2e-14)
    np.testing.assert_allclose(found[1], hazard, rtol=2e-14, atol=1e-15)
    np.testing.assert_allclose(found[2], 1 + t * hazard, rtol=2e-14)


def test_truncated_normal():
    """Where SciPy's own moments have digits to compare."""
    rng = np.random.default_rng(1)
    for _ in range(40):
        mean, deviation, a, width = rng.normal(), rng.uniform(0.2, 3), rng.uniform(-4, 3), rng.uniform(0.3, 4)
        lower, upper = mean + a * deviation, mean + (a + width) * deviation
        log_p, first, second = in_interval(lower, upper, mean, deviation)
        other = truncnorm((lower - mean) / deviation, (upper - mean) / deviation, loc=mean, scale=deviation)
        assert np.exp(log_p) == pytest.approx(norm.cdf(upper, mean, deviation) - norm.cdf(lower, mean, deviation))
        assert mean + first == pytest.approx(other.mean(), rel=1e-9, abs=1e-9)
        assert second - first**2 == pytest.approx(other.var(), rel=1e-9)


def integrated(t, h):
    """Log P, the mean seen from t and the variance for x ~ N(0, 1) between t > -9 and t + h, by adaptive quadrature."""
    c = min(h, 11 - min(t, 0.0), 60 / max(t, 1.0))

    def integral(power, center=0.0):
        def part(v):
            return (v - center) ** power * np.exp(-v * c * (t + 0.5 * v * c))

        return quad(part, 0, 1, epsabs=0, epsrel=1e-13, limit=200)[0]

    total = integral(0)
    center = integral(1) / total
    log_p = np.log(c * total) - 0.5 * t * t - 0.5 * np.log(2 * np.pi)
    return log_p, c * center, c * c * integral(2, center) / total


@pytest.mark.parametrize("far", [1, 2, 8])
@pytest.mark.parametrize("h", [1e-12, 1e-6, 1e-2, 0.3, 1.0, 1.9, 2.1, 6.0, np.inf])
def test_quadrature(h, far):
    """The mean is put where the edges are exact: at 0 and h."""
    rng = np.random.default_rng(far)
    for t in 10 ** rng.uniform(far - 2, far, 8):
        for edge in (t, -t) if t < min(h / 2, 9) else (t,):
            log_p, beyond, variance = integrated(edge, h)
            found = in_interval(0.0, h, -edge, 1.0)
            assert_right(found, log_p, edge + beyond, (edge + beyond) ** 2 + variance, h, 1.0)
            assert abs(found[2] - found[1] ** 2 - variance) <= 2e-14 * variance + 4 * EPS * found[2]


@pytest.mark.parametrize("rule", range(len(RULES)))
def test_nodes_are_enough(rule):
    """Where a rule is asked for most, in comparison to itself in each of 16 parts: sums, the mean and the variance."""
    t = np.concatenate([-np.geomspace(1, 1e-3, 7), [0.0], np.geomspace(1e-3, 1e9, 60)])
    most = min(RULES[rule][0], CUT * 2)
    distance = np.abs(t)
    length = 2 * most / (distance + np.sqrt(distance**2 + 4 * most))
    length = np.minimum(length, 2 * CUT / (distance + np.sqrt(distance**2 + 2 * CUT)))
    length = np.where(t < 0, np.minimum(length, 2), length)
    kept = t >= -length / 2
    nodes = _NODES[rule]
    parts = np.concatenate([(nodes + np.array([i, 0.0])) / 16 for i in range(16)])
    found, expected = (_falling(t[kept], length[kept], rule) for rule in (nodes, parts))
    assert (np.abs(found[0] - expected[0]) <= 3e-14 + 2 * EPS * np.abs(expected[0])).all()
    np.testing.assert_allclose(found[1:], expected[1:], rtol=3e-14)


# limits -------------------------------------------------------------------------------------------------------------


def test_whole_line():
    found = in_interval(np.array([-np.inf]), np.array([np.inf]), np.array([[3.0], [-2.0]]), np.array([[0.5], [7.0]]))
    np.testing.assert_array_equal(found, [[[0.0], [0.0]], [[0.0], [0.0]], [[0.25], [49.0]]])


@pytest.mark.parametrize("t", [0.0, 0.3, 5.0, 30.0, 1e3, 1e6])
def test_short(t):
    """Log density at the centre and log width, the centre, width^2 / 12, and what the slope changes of them."""
    h = 10.0 ** -np.arange(2, 15) / max(1.0, t)
    center = t + 0.5 * h
    log_p, first, second = in_interval(np.zeros(len(h)), h, -t, 1.0)
    expected = norm.logpdf(center) + np.log(h) + (center**2 - 1) * h**2 / 24
    assert (np.abs(log_p - expected) <= ((1 + center) * h) ** 4 + 1e-14 + 4 * EPS * np.abs(expected)).all()
    assert (np.abs(first - center * (1 - h**2 / 12)) <= center * (1 + center**2) * h**4 + 2 * np.spacing(center)).all()
    assert (second >= first**2).all()

    _, first, second = in_interval(-0.5 * h, 0.5 * h, 0.0, 1.0)
    assert (np.abs(first) <= 1e-15 * h).all()
    assert (np.abs(second - h**2 / 12) <= h**4 / 100 + 1e-14 * h**2).all()


def test_extremes_are_numbers():
    """What is too far or too short counts as less so; differences that overflow count as infinite."""
    big, small = np.finfo(np.float64).max, 5e-324
    lower = np.array([0.0, 0.0, 1.0, big / 2, -big, -np.inf, -big])
    upper = np.array([small, small, 2.0, big, -big / 2, -big, big])
    mean = np.array([0.0, 1.0, 0.0, -big, big, big, 0.0])
    deviation = np.array([1e10, 1e-300, small, 1e-300, 1.0, big, 1.0])
    with np.errstate(all="raise"):
        log_p, first, second = in_interval(lower, upper, mean, deviation)
    np.testing.assert_allclose(log_p[0], np.log(NARROWEST) - 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(log_p[[1, 2, 3, 4]], -0.5 * FARTHEST**2)
    np.testing.assert_array_equal(first[[1, 2, 3, 4]], [-1.0, 1.0, np.inf, -np.inf])
    assert log_p[-1] == 0
    assert not np.isnan([log_p, first, second]).any()


def test_missing_values_stay_missing():
    assert np.isnan(in_interval(np.zeros(2), np.ones(2), np.nan, 1.0)).all()


# what any interval obeys --------------------------------------------------------------------------------------------

edges = st.floats(allow_nan=False) | st.floats(-40, 40)
means = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-40, 40)
deviations = st.floats(0, exclude_min=True, allow_infinity=False) | st.floats(0.1, 10)


@given(st.lists(edges, min_size=2, max_size=2, unique=True), means, deviations)
@example([-np.inf, np.inf], 0.0, 1.0)
@settings(max_examples=1000, deadline=None)
def test_bounds(pair, mean, deviation):
    """No NaN, a probability, a mean inside and a variance, for all numbers that can be written."""
    lower, upper = np.sort(pair)
    with np.errstate(all="raise"):
        log_p, first, second = in_interval(lower, upper, mean, deviation)
    assert -np.inf < log_p <= 0
    with np.errstate(over="ignore"):
        assert lower - mean <= first <= upper - mean
        assert second >= first * first


@pytest.mark.parametrize("seed", range(3))
def test_bounds_across_magnitudes(seed):
    lower, upper, mean, deviation = intervals(np.random.default_rng(seed), 20000, far=8)
    log_p, first, second = in_interval(lower, upper, mean, deviation)
    assert (np.isfinite(log_p) & (log_p <= 0)).all()
    assert ((lower - mean <= first) & (first <= upper - mean)).all()
    assert (second >= first**2).all()
    most = norm.logpdf(np.clip(mean, lower, upper), mean, deviation) + np.log(upper - lower)
    assert (log_p <= most + 1e-13 + 4 * EPS * np.abs(most)).all()


@pytest.mark.parametrize("far", [0.5, 1, 2, 6])
def test_two_parts_make_the_whole(far):
    """P = P1 + P2, and the moments are mixed by P1 / P and P2 / P."""
    rng = np.random.default_rng(5)
    lower, upper, mean, deviation = intervals(rng, 20000, far=far)
    open_below, open_above = rng.random((2, len(lower))) < 0.1
    cut = lower + rng.random(len(lower)) * (upper - lower)
    kept = (lower < cut) & (cut < upper)
    lower, upper = np.where(open_below, -np.inf, lower), np.where(open_above, np.inf, upper)
    lower, cut, upper, mean, deviation = (x[kept] for x in (lower, cut, upper, mean, deviation))
    whole, left, right = (in_interval(a, b, mean, deviation) for a, b in ((lower, upper), (lower, cut), (cut, upper)))

    log_p = np.logaddexp(left[0], right[0])
    noise = 1e-13 + 8 * EPS * np.abs(whole[0])
    assert (np.abs(log_p - whole[0]) <= noise).all()
    shares = expit(left[0] - right[0]), expit(right[0] - left[0])
    for moment in (1, 2):
        mixed = shares[0] * left[moment] + shares[1] * right[moment]
        size = np.maximum(np.abs(whole[moment]), deviation**moment)
        doubt = 2 * noise * shares[0] * shares[1] * np.abs(left[moment] - right[moment])
        assert (np.abs(mixed - whole[moment]) <= doubt + 1e-14 * size).all()


@pytest.mark.parametrize("bins", [1, 2, 7, 300])
def test_all_bins(bins):
    """The bins of a histogram with open ends share all of each component: 1, its mean and its variance."""
    rng = np.random.default_rng(bins)
    inner = np.sort(rng.normal(size=bins - 1) * 4)
    mean, deviation = rng.normal(size=(6, 1)) * 3, 10 ** rng.uniform(-2, 1, (6, 1))
    log_p, first, second = in_interval(np.append(-np.inf, inner), np.append(inner, np.inf), mean, deviation)
    assert log_p.shape == (6, bins)
    p = np.exp(log_p)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-13)
    np.testing.assert_allclose((p * first).sum(axis=1) / deviation[:, 0], 0.0, atol=1e-13)
    np.testing.assert_allclose((p * second).sum(axis=1), deviation[:, 0] ** 2, rtol=1e-13)


def test_units_and_sides():
    """Another unit, a power of two, and the other direction change not a digit; an exact shift neither."""
    lower, upper, mean, deviation = intervals(np.random.default_rng(8), 5000)
    log_p, first, second = in_interval(lower, upper, mean, deviation)
    for unit in (2.0**-70, 0.5, 2.0**90):
        found = in_interval(unit * lower, unit * upper, unit * mean, unit * deviation)
        np.testing.assert_array_equal(found, (log_p, unit * first, unit**2 * second))
    np.testing.assert_array_equal(in_interval(-upper, -lower, -mean, deviation), (log_p, -first, second))

    on_grid = [np.round(x * 1024) / 1024 for x in (lower, upper, mean)]
    kept = on_grid[0] < on_grid[1]
    lower, upper, mean, deviation = (x[kept] for x in (*on_grid, deviation))
    shifted = in_interval(lower + 2.0**24, upper + 2.0**24, mean + 2.0**24, deviation)
    np.testing.assert_array_equal(shifted, in_interval(lower, upper, mean, deviation))


def test_broadcasting():
    """Each pair is computed for itself, whatever stands beside it."""
    lower = np.array([-np.inf, -1.0, 0.5, 2.0, 2.5, 9.0])
    upper = np.append(lower[1:], np.inf)
    mean, deviation = np.array([[0.0], [2.2], [-30.0]]), np.array([[1.0], [0.1], [4.0]])
    found = np.array(in_interval(lower, upper, mean, deviation))
    assert found.shape == (3, 3, 6)
    for k in range(3):
        for b in range(6):
            alone = in_interval(lower[b], upper[b], mean[k, 0], deviation[k, 0])
            np.testing.assert_allclose(alone, found[:, k, b], rtol=4 * EPS)
    np.testing.assert_array_equal(in_interval(lower, upper, mean[1, 0], deviation[1, 0]), found[:, 1])
    np.testing.assert_array_equal(in_interval(lower, upper, mean, 1.0)[0][0], found[0, 0])
    assert all(x.shape == (3, 0) for x in in_interval(lower[:0], upper[:0], mean, deviation))
