"""Planned sizes against statsmodels and by simulation, and their limits."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import DEFAULT_CUES
from figureground.audit.judge.intervals import mean_t
from figureground.audit.judge.multiplicity import tost
from figureground.audit.judge.power import planning_spread, units_to_certify, units_to_detect


@pytest.mark.parametrize(("spread", "effect"), [(0.5, 0.10), (0.3, 0.10), (0.5, 0.05)])
def test_the_detectable_size_is_that_of_a_t_test_in_each_half(spread, effect):
    policy = Policy()
    found = units_to_detect(spread, effect, policy)
    half = TTestPower().solve_power(
        effect_size=effect / spread, alpha=policy.alpha, power=np.sqrt(policy.power), alternative="larger"
    )
    assert found == pytest.approx(2 * half, rel=0.01)
    whole = TTestPower().power(effect / spread, found, policy.alpha, alternative="two-sided")
    assert whole > policy.power


@pytest.mark.parametrize(("spread", "margin"), [(0.5, 0.05), (0.2, 0.05), (0.2, 0.10)])
def test_the_size_that_certifies_nothing_has_the_power_asked_for(spread, margin):
    """The exact power of two one-sided t tests at an effect of 0 comes from integrating over the standard deviation."""
    policy = Policy()
    n = units_to_certify(spread, margin, policy)
    s = spread * np.sqrt(stats.chi2(n - 1).ppf((np.arange(4000) + 0.5) / 4000) / (n - 1))
    room = np.clip(margin - stats.t.ppf(1 - policy.alpha, n - 1) * s / np.sqrt(n), 0, None)
    power = float((2 * stats.norm.cdf(room / (spread / np.sqrt(n))) - 1).mean())
    assert power == pytest.approx(policy.power, abs=0.01)


def test_the_size_that_certifies_does_so_in_the_judge():
    policy, rng = Policy(), np.random.default_rng(0)
    n = units_to_certify(0.2, 0.05, policy)
    hits = [
        tost(mean_t(rng.normal(0, 0.2, n), np.arange(n), 1 - 2 * policy.alpha), 0.05, policy.alpha) for _ in range(600)
    ]
    assert np.mean(hits) == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / 600))


def test_sizes_grow_with_what_is_asked():
    policy = Policy()
    assert units_to_certify(0.5, 0.05, policy, 6) > units_to_certify(0.5, 0.05, policy)
    assert units_to_certify(0.5, 0.04, policy) > units_to_certify(0.5, 0.05, policy)
    assert units_to_detect(0.5, 0.1, Policy(power=0.9)) > units_to_detect(0.5, 0.1, policy)
    assert units_to_certify(1e-6, 0.05, policy) == units_to_detect(1e-6, 0.1, policy) == policy.min_clusters


def test_every_cue_has_a_spread():
    assert planning_spread("background") == 0.5
    assert all(0 < planning_spread(cue) <= 0.5 for cue in (*DEFAULT_CUES, "region:ruler"))
