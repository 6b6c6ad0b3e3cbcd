"""Means, paired tests and corrections, on cases whose answer is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwrnn_core import fairness

# Student (1908), after Cushny and Peebles: extra hours of sleep under two drugs, ten patients.
DRUG_1 = dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]))
DRUG_2 = dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]))


def test_the_paired_test_is_student_s_own():
    test = fairness.paired(DRUG_2, DRUG_1)
    assert test.n == 10
    assert test.difference == pytest.approx(1.58)
    assert (test.low, test.high) == pytest.approx((0.7001142, 2.4598858))
    assert test.p == pytest.approx(0.00283289, rel=1e-5)
    assert test.side == 1


def test_the_interval_of_a_mean():
    # Mean 2, standard deviation 1, t(0.975; 2) = 4.30265: 2 ± 4.30265 / √3.
    one = fairness.estimate([1.0, 2.0, 3.0, math.nan])
    assert one == pytest.approx((2.0, 2 - 2.484138, 2 + 2.484138, 3), rel=1e-5)
    assert str(one) == "2.0 ± 2.5"
    assert str(fairness.estimate([2.0])) == "2.0", "one run has no interval"
    assert fairness.estimate([math.nan, math.inf]).n == 0


def test_only_seeds_that_both_have_are_paired():
    test = fairness.paired({1: 5.0, 2: 9.0, 3: 1.0}, {2: 8.0, 3: 0.0, 4: 7.0})
    assert (test.difference, test.n, test.p) == (1.0, 2, 0.0), "equal differences have no spread"
    assert fairness.paired({1: 5.0}, {1: 4.0})[0] == 1.0
    assert math.isnan(fairness.paired({1: 5.0}, {1: 4.0}).p)
    assert fairness.paired({1: 5.0}, {2: 4.0}).n == 0
    assert fairness.from_zero([0.0, 0.0]).p == 1.0
    known = fairness.from_zero([1.0, math.inf, 3.0, math.nan])
    assert known == fairness.from_zero([1.0, 3.0]), "of runs that diverged nothing is known"


def test_a_missing_p_value_is_neither_adjusted_nor_counted():
    adjusted = fairness.holm([0.02, math.nan, 0.03])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_raw_value_and_bonferroni_s(values):
    for raw, adjusted in zip(values, fairness.holm(values), strict=True):
        assert raw <= adjusted <= min(1.0, len(values) * raw) + 1e-12


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6))
def test_the_expected_best_is_the_mean_over_all_subsets(scores):
    curve = fairness.expected_best(scores)
    for n, value in enumerate(curve, start=1):
        subsets = [min(c) for c in itertools.combinations(scores, n)]
        assert value == pytest.approx(np.mean(subsets), abs=1e-9)
