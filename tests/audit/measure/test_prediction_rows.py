"""Logits to rows: no prediction from NaN, the same classes in each arm, and logsumexp over all classes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from figureground.audit.keeping import tables
from figureground.audit.measure.prediction_rows import ALL_CLASSES, TOP_CLASSES, kept_classes, prediction_rows

KEYS = {"cue": "none", "intervention": "none", "arm": "own", "dose": 0.0, "pass": 0}


def logits(n, k, seed=0):
    return np.random.default_rng(seed).normal(0, 3, (n, k)).astype(np.float32)


def test_up_to_32_classes_everything_is_kept():
    values = logits(5, ALL_CLASSES)
    assert kept_classes(values, np.zeros(5, dtype=np.int64)) is None
    rows = prediction_rows(values, kept=None, row_id=np.arange(5), **KEYS)
    np.testing.assert_array_equal(np.stack(rows["logits"].to_list()).astype(np.float32), values)
    assert rows["predicted"].tolist() == values.argmax(axis=1).tolist()
    np.testing.assert_allclose(rows["logsumexp"], logsumexp(values.astype(float), axis=1), rtol=1e-12)
    assert rows["classes"].isna().all()
    assert set(rows["status"]) == {"ok"}


@pytest.mark.fault("B10", better="The answer is set aside as not_finite, not the row: it may be finite under a change.")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_predicts_nothing_and_never_class_0(bad):
    values = logits(3, 4)
    values[1, 2] = bad
    rows = prediction_rows(values, kept=None, row_id=np.arange(3), **KEYS)
    stored = tables.conform(rows, tables.PREDICTIONS).to_pandas()
    assert rows["status"].tolist() == ["ok", "not_finite", "ok"]
    assert stored["reason"].isna().tolist() == [True, False, True]
    assert stored.loc[1, "reason"] == "not_finite"
    assert np.isnan(stored.loc[1, "predicted"])
    assert stored.loc[1, "logits"] is None
    assert np.isnan(stored.loc[1, "logsumexp"])
    assert stored["predicted"].notna().tolist() == [True, False, True]


def test_what_could_not_be_composed_has_a_reason_of_its_own():
    rows = prediction_rows(
        logits(2, 3),
        kept=None,
        unusable=np.array(["no_visible_background", "ok"], dtype=object),
        row_id=[1, 2],
        **KEYS,
    )
    assert rows["status"].tolist() == ["no_visible_background", "ok"]
    assert rows["predicted"].isna().tolist() == [True, False]


def test_beyond_32_classes_every_arm_keeps_the_classes_of_the_unchanged_image():
    unchanged, swapped = logits(4, 50), logits(4, 50, seed=1)
    labels = np.array([3, 49, 0, 7])
    kept = kept_classes(unchanged, labels)
    for row, label, classes in zip(unchanged, labels, kept, strict=True):
        top = set(np.argsort(row)[::-1][:TOP_CLASSES])
        assert set(classes) == top | {label}
        assert classes == sorted(classes)
        assert row.argmax() in classes
    first, second = (prediction_rows(values, kept=kept, row_id=np.arange(4), **KEYS) for values in (unchanged, swapped))
    assert first["classes"].tolist() == second["classes"].tolist() == kept
    for at, classes in enumerate(kept):
        np.testing.assert_array_equal(np.float32(second["logits"][at]), swapped[at, classes])
    # the answer and the normaliser stay those over all classes
    assert second["predicted"].tolist() == swapped.argmax(axis=1).tolist()
    np.testing.assert_allclose(second["logsumexp"], logsumexp(swapped.astype(float), axis=1))
