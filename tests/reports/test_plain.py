"""The section on plain interventions: what is stored is shown with its n and interval, and never as a verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from figureground.audit.declared import plain
from figureground.audit.declared.config import Policy
from figureground.audit.judge.plain import PlainJudge
from figureground.audit.judge.plain_answers import PlainAnswers
from figureground.reports import catalogue
from figureground.reports.html import render_html
from figureground.reports.sections import causal
from figureground.reports.sections import plain as section
from figureground.reports.sections.context import Context

N = 200


def answers() -> PlainAnswers:
    """Answers to all interventions, drawn at random; two rows have no other place."""
    rng = np.random.default_rng(0)
    noise = [(plain.NOISE, part, size) for part in ("background", "object") for size in plain.NOISE_SIZES]
    total = [(plain.NOISE_TOTAL, part, size) for part in ("background", "object") for size in plain.TOTAL_SIZES]
    kinds = [(k, p, plain.NOISE_SIZE if k == plain.NOISE else 1.0) for k in plain.KINDS for p in section._PLACES]
    alone = [(plain.REMOVED, p, 1.0) for p in (plain.DILATED, plain.BOX)] + [(plain.ONLY, plain.POOL_MEAN, 1.0)]
    frames = []
    for kind, part, dose in dict.fromkeys([*noise, *total, *kinds, *alone]):
        status = np.where((part == plain.ELSEWHERE) & (np.arange(N) < 2), "no_other_place", "ok")
        right = np.where(status == "ok", rng.integers(0, 2, N), np.nan)
        columns = {"intervention": kind, "part": part, "dose": dose, "status": status, "correct": right}
        columns |= {"own_correct": 1.0, "changed": 1 - right, "drop": (1 - right) / 2, "label": "coat"}
        frames.append(pd.DataFrame({"row_id": range(N), "cluster": np.arange(N) // 2, **columns}))
    return PlainAnswers(pd.concat(frames, ignore_index=True))


def dose_rows() -> list[dict[str, Any]]:
    base = {"cue": "tint", "scale": "decision", "n": 180, "n_clusters": 90, "status": "ok", "ci_level": 0.95}
    return [
        {
            **base,
            "test": test,
            "part": part,
            "dose": dose,
            "estimate": value,
            "ci_low": value - 0.1,
            "ci_high": value + 0.1,
        }
        for part, full in (("background", 0.45), ("object", 0.12), ("whole", 0.5))
        for dose in plain.DOSES
        for test, value in zip(plain.DOSE_TESTS[:3], (full * dose, 0.01, full * dose - 0.01), strict=True)
    ]


def with_plain(synthetic: Any) -> Any:
    """A run that has them."""
    made = synthetic()
    rows = pd.DataFrame([*PlainJudge(Policy())(answers()), *dose_rows()])
    known = made.tests()
    made.tests = lambda: pd.concat([known, rows.astype(object)], ignore_index=True).astype(object)
    return made


def test_every_table_says_n_units_and_intervals(make_run: Any, synthetic: Any) -> None:
    result = make_run(with_plain(synthetic))
    found = section.build(Context(result, catalogue.load("en")))
    assert found is not None
    changes, alone, noise, doses = found.tables
    assert len(changes.rows) == 12
    assert len(alone.rows) == 5  # two holes, two grounds, the leak
    assert len(noise.rows) == 6
    assert len(doses.rows) == 6
    for one in found.tables:
        assert all(len(row) == len(one.columns) for row in one.rows)
        assert all(row[-2] in ("200", "198", "180") and row[-1] in ("100", "99", "90") for row in one.rows)
    first = changes.rows[0]
    assert first[:2] == ("blanked", "background")
    assert "to" in first[2]
    assert changes.rows[1][5].endswith("n 200")
    assert doses.rows[1][:4] == ("tint", "background", "100\u202f%", "+45.0 (35.0 to 55.0)")


def test_the_page_says_that_they_demonstrate_nothing_and_counts_what_was_no_test(make_run: Any, synthetic: Any) -> None:
    page = render_html(make_run(with_plain(synthetic)))
    assert "demonstrate nothing and clear nothing" in page
    assert "Of the 200 images drawn, at most 1.0\u202f% were no test of a change" in page
    for words in ("silhouette leak", "tiles shuffled", "same total size", "as many pixels from the object outwards"):
        assert words in page


def test_they_stay_out_of_the_table_of_tests_and_a_run_without_them_has_no_section(
    make_run: Any, synthetic: Any, finished: Any
) -> None:
    words = catalogue.load("en")
    with_them, without = Context(make_run(with_plain(synthetic)), words), Context(finished, words)
    assert causal.tests_table(with_them) == causal.tests_table(without)
    assert section.build(without) is None


def test_an_undefined_sensitivity_gives_its_reason(make_run: Any, synthetic: Any) -> None:
    made = with_plain(synthetic)
    rows = made.tests()
    at = rows.index[rows["test"] == plain.RFS][0]
    for name in ("estimate", "ci_low", "ci_high"):
        rows.loc[at, name] = None
    rows.loc[at, ["status", "reason"]] = ["not_estimable", "rfs_undefined"]
    made.tests = lambda: rows
    found = section.build(Context(make_run(made), catalogue.load("en")))
    assert found is not None
    assert found.tables[2].rows[0][4] == "undefined: all answers right, or all wrong"
