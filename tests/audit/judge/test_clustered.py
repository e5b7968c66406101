"""Multi-way clustered means against statsmodels and brute force, and their coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

from figureground.audit.judge import clustered, intervals
from figureground.errors import UsageError


def contrast(seed=0, recipients=30, passes=3, donors=20, recipient_sd=0.4, donor_sd=0.4):
    """Observations recipient x pass with recipient and donor effects, mean 0."""
    rng = np.random.default_rng(seed)
    recipient = np.repeat(np.arange(recipients), passes)
    a, b = rng.integers(0, donors, (2, recipient.size))
    effect_a, effect_b = donor_sd * rng.standard_normal((2, donors))
    noise = 0.5 * rng.standard_normal(recipient.size)
    return (
        recipient_sd * rng.standard_normal(recipients)[recipient] + effect_a[a] - effect_b[b] + noise,
        recipient,
        a,
        b,
    )


def _fit(values):
    return OLS(values, np.ones((values.size, 1))).fit()


def _groups(*codes):
    return np.unique(np.stack(codes), axis=1, return_inverse=True)[1].ravel()


def _jackknife(values, codes):
    """Variance of the mean from all means without one cluster."""
    groups = np.unique(codes)
    left = np.array([values[codes != group].mean() for group in groups])
    return (groups.size - 1) / groups.size * np.square(left - values.mean()).sum()


def balanced(seed, recipients=30, passes=3, donors=18):
    """Every donor serves equally often."""
    values, recipient, *_ = contrast(seed, recipients, passes, donors)
    rng, n = np.random.default_rng(seed), values.size
    a, b = (rng.permutation(np.repeat(np.arange(donors), n // donors)) for _ in range(2))
    effect = 0.4 * rng.standard_normal((2, donors))
    return values + effect[0][a] - effect[1][b], recipient, a, b


def test_one_way_is_that_of_statsmodels():
    values, recipient, *_ = contrast()
    expected = cov_cluster(_fit(values), recipient)[0, 0]
    assert clustered.multiway_variance(values, recipient) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_two_way_is_that_of_statsmodels_above_its_floor(seed):
    values, recipient, *_ = contrast(seed)
    rng = np.random.default_rng(seed)
    # Equal clusters that meet at most once: there the jackknife and the sandwich are the same.
    a = (rng.permutation(30)[recipient] + 6 * (np.arange(90) % 3)) % 18
    values = values + 0.4 * rng.standard_normal(18)[a]
    both, *one_way = (cov[0, 0] for cov in cov_cluster_2groups(_fit(values), recipient, a))
    found = clustered.multiway_variance(values, recipient, a)
    assert found == pytest.approx(max(both, *one_way), rel=1e-12)
    assert seed != 0 or both > max(one_way)  # at least once it is not the floor that is compared


@pytest.mark.parametrize("seed", range(3))
def test_three_way_is_inclusion_and_exclusion_over_one_way_variances(seed):
    values, *codes = contrast(seed, donors=6)  # few donors, so that intersections are no singletons
    r, a, b = codes
    v = [_jackknife(values, _groups(*chosen)) for chosen in ((r,), (a,), (b,), (r, a), (r, b), (a, b), (r, a, b))]
    expected = v[0] + v[1] + v[2] - v[3] - v[4] - v[5] + v[6]
    assert clustered.multiway_variance(values, *codes) == pytest.approx(max(expected, *v[:3]), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_three_way_by_brute_force_over_pairs_of_observations(seed):
    """Without small-sample factors the sum runs over the pairs that share any cluster."""
    values, *codes = balanced(seed, recipients=40, passes=2, donors=20)
    centred = (values - values.mean()) / values.size
    shared = np.any([np.equal.outer(code, code) for code in codes], axis=0)
    brute = float(centred @ shared @ centred)
    found = clustered.multiway_variance(values, *codes)
    assert brute < found < brute * 1.2  # factors G / (G - 1) of at most 20 / 19, then differences


def test_singleton_intersections_give_three_one_way_less_twice_the_independent():
    rng = np.random.default_rng(3)
    n = 60
    recipient, a, b = np.arange(n) // 2, np.arange(n) % 30, (np.arange(n) * 7) % 20
    assert all(len(set(zip(*pair, strict=True))) == n for pair in ((recipient, a), (recipient, b), (a, b)))
    values = rng.standard_normal(n) + rng.standard_normal(30)[a] + rng.standard_normal(20)[b]
    one_way = [clustered.multiway_variance(values, code) for code in (recipient, a, b)]
    independent = clustered.multiway_variance(values, np.arange(n))
    assert independent == pytest.approx(values.var(ddof=1) / n)
    expected = sum(one_way) - 2 * independent
    assert expected > max(one_way)
    assert clustered.multiway_variance(values, recipient, a, b) == pytest.approx(expected)


def test_the_largest_one_way_variance_is_the_floor():
    values = np.array([1.0, -1.0, -1.0, 1.0])  # rows and columns cancel: inclusion and exclusion is negative
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert clustered.multiway_variance(values, rows, columns) == 0.0
    shifted = values + np.array([0.1, 0.1, -0.1, -0.1])
    floor = clustered.multiway_variance(shifted, rows)
    assert floor > 0
    assert clustered.multiway_variance(shifted, rows, columns) == pytest.approx(floor)


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_names_and_repeated_clusterings_do_not_matter(seed, random):
    values, r, a, b = contrast(seed, recipients=8, donors=5)
    expected = clustered.multiway_mean(values, r, a, b)
    order = list(range(values.size))
    random.shuffle(order)
    names = [
        np.array([f"{word}{code}" for code in codes], dtype=object)[order]
        for word, codes in zip("rab", (r, a, b), strict=True)
    ]
    shuffled = clustered.multiway_mean(values[order], *names)
    assert (shuffled.low, shuffled.high) == pytest.approx((expected.low, expected.high))
    assert clustered.multiway_variance(values, r, r) == pytest.approx(clustered.multiway_variance(values, r))
    turned = clustered.multiway_mean(-values, r, b, a)
    assert (turned.low, turned.high) == pytest.approx((-expected.high, -expected.low))


def test_one_way_with_equal_clusters_is_the_t_interval_of_cluster_means():
    values, recipient, *_ = contrast(4)
    expected, found = intervals.mean_t(values, recipient), clustered.multiway_mean(values, recipient, bounds=None)
    for name in ("estimate", "low", "high", "standard_error", "df", "n", "n_clusters"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name


def test_degrees_of_freedom_come_from_the_fewest_clusters():
    values, r, a, b = contrast(5, recipients=30, donors=9)
    found = clustered.multiway_mean(values, r, a, b, level=0.9)
    assert (found.df, found.n_clusters, found.n, found.level) == (8, 9, 90, 0.9)


def test_donors_widen_the_interval_where_donors_matter():
    values, r, a, b = contrast(6, recipients=100, donors=10, recipient_sd=0.0, donor_sd=0.8)
    with_donors, without = clustered.multiway_mean(values, r, a, b), clustered.multiway_mean(values, r)
    assert with_donors.standard_error > 2 * without.standard_error


# -- edges


def test_missing_values_are_left_out_with_their_codes():
    values, *codes = contrast(7)
    gaps = np.r_[values, np.nan]
    assert clustered.multiway_mean(gaps, *(np.r_[code, 999] for code in codes)) == clustered.multiway_mean(
        values, *codes
    )


@pytest.mark.parametrize("codes", [(["a", "a"],), (["a", "b"], ["x", "x"])])
def test_one_cluster_has_no_interval(codes):
    found = clustered.multiway_mean([1.0, 0.0], *codes)
    assert (found.estimate, found.df, found.n_clusters) == (0.5, 0, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.standard_error)
    assert math.isnan(clustered.multiway_variance([1.0, 0.0], *codes))


def test_nothing_observed():
    found = clustered.multiway_mean([], [], [])
    assert (found.n, found.n_clusters) == (0, 0)
    assert math.isnan(found.estimate)
    assert clustered.cluster_influence([], []).shape == (0,)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_observations_that_all_agree_are_bounded_by_the_fewest_clusters(value):
    """No change in 12 donor clusters is not proof of no effect: 1 - 0.05^(1/12) of backgrounds may differ."""
    codes = np.arange(36) // 3, np.arange(36) % 12
    found = clustered.multiway_mean(np.full(36, value), np.arange(36), *codes, level=0.9)
    q = 1 - 0.05 ** (1 / 12)
    assert found.standard_error == 0
    assert (found.low, found.high) == pytest.approx((value - q * (1 + value), value + q * (1 - value)))
    plain = clustered.multiway_mean(np.full(36, value), *codes, level=0.9, bounds=None)
    assert (plain.low, plain.high) == (plain.estimate, plain.estimate)


@pytest.mark.parametrize(
    "call",
    [
        lambda: clustered.multiway_mean([1.0, 2.0]),
        lambda: clustered.multiway_mean([1.0, 2.0], [1]),
        lambda: clustered.multiway_mean([[1.0, 2.0]], [[1, 2]]),
        lambda: clustered.multiway_mean([1.0, 2.0], np.array(["a", None], dtype=object)),
        lambda: clustered.multiway_means([[1.0, 2.0]], [1], [()]),
        lambda: clustered.cluster_influence([1.0, 2.0], [1]),
    ],
)
def test_other_inputs_are_refused(call):
    with pytest.raises(UsageError, match="STATISTIC_INPUT"):
        call()


# -- several columns


def test_influence_sums_to_zero_and_squares_to_the_variance():
    values, recipient, *_ = contrast(8)
    found = clustered.cluster_influence(values, recipient)
    assert found.shape == (30,)
    assert found.sum() == pytest.approx(0, abs=1e-15)
    assert (found**2).sum() * 30 / 29 == pytest.approx(clustered.multiway_variance(values, recipient))
    by_hand = [(values[recipient == g] - values.mean()).sum() / values.size for g in range(30)]
    np.testing.assert_allclose(found, by_hand)


def test_missing_values_keep_the_place_of_their_cluster():
    values, recipient, *_ = contrast(9)
    values[recipient == 4] = np.nan
    found = clustered.cluster_influence(values, recipient)
    assert found.shape == (30,)
    assert found[4] == 0
    kept = recipient != 4
    np.testing.assert_array_equal(np.delete(found, 4), clustered.cluster_influence(values[kept], recipient[kept]))


def test_equal_values_have_no_influence_at_all():
    assert not clustered.cluster_influence(np.full(30, 0.1), np.arange(30) // 3).any()


def test_columns_are_the_single_means_with_their_own_donors():
    first, second = contrast(10), contrast(11)
    second[0][:5] = np.nan
    values = np.stack([first[0], second[0]], axis=1)
    found = clustered.multiway_means(values, first[1], [first[2:], second[2:]], level=0.9)
    for column, data in enumerate((first, second)):
        assert found.intervals[column] == clustered.multiway_mean(*data, level=0.9)
        np.testing.assert_array_equal(found.influence[:, column], clustered.cluster_influence(data[0], first[1]))


def test_no_column_gives_nothing():
    assert clustered.multiway_means(np.empty((4, 0)), [1, 2, 3, 4], []).intervals == ()


# -- coverage


def _coverage(repetitions, seed, **shape):
    hits = one_way = 0
    for repetition in range(repetitions):
        values, *codes = contrast(seed + repetition, **shape)
        found, ignorant = clustered.multiway_mean(values, *codes), clustered.multiway_mean(values, codes[0])
        hits += found.low <= 0 <= found.high
        one_way += ignorant.low <= 0 <= ignorant.high
    return hits / repetitions, one_way / repetitions


def test_intervals_cover_where_one_way_intervals_do_not():
    covered, ignorant = _coverage(600, 1000, recipients=60, donors=30, recipient_sd=0.3, donor_sd=0.3)
    assert covered >= 0.93 - 0.02  # at least about 93 %, less two Monte Carlo errors
    assert ignorant < 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("recipients", "donors"), [(40, 20), (100, 20), (100, 60)])
@pytest.mark.parametrize(("recipient_sd", "donor_sd"), [(0.3, 0.3), (0.5, 0.0), (0.0, 0.5)])
def test_intervals_cover_over_a_range_of_designs(recipients, donors, recipient_sd, donor_sd):
    design = {"recipients": recipients, "donors": donors, "recipient_sd": recipient_sd, "donor_sd": donor_sd}
    assert _coverage(2000, 5000, **design)[0] >= 0.925
