"""The document of an edition: each part that counts people, and each text that may name one."""

from __future__ import annotations

from typing import Any

import pytest

from figureground.audit.bundle.edited import BY_LABEL, LEFT_OUT, Editor, bare
from figureground.audit.bundle.families import Hidden
from figureground.audit.bundle.numbers import false_alarms, reliability
from figureground.audit.bundle.secrets import Secrets
from figureground.audit.judge.measures import MEASURES
from figureground.audit.judge.number_measures import ERRORS as NUMBER_MEASURES
from figureground.audit.keeping.tables import ALL

HIDDEN = Hidden(
    {None: frozenset({("site", "rare", ALL), ("site", "rare", "coat"), ("site", "big", "coat"), ("site", "big", ALL)})},
    frozenset({"site*sex"}),
)


def editor(hidden: Hidden = HIDDEN, threshold: int | None = 10, secrets: tuple[str, ...] = ()) -> Editor:
    return Editor(hidden, threshold, Secrets(frozenset(secrets)), lambda row_id: row_id + 1000, pictures=False)


def data(**changes: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "labels": {},
        "environments": {},
        "groups": [],
        "not_used": [],
        "composition": [],
        "mask_coverage": [],
        "mask_troubles": [],
        "findings": [],
        "overlap": None,
        "sample": None,
        "reading": None,
    }
    return empty | changes


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"attribute": "site", "level": "rare", "label": ALL, "n": 0}, False),
        ({"attribute": "site", "level": "rare", "label": "pullover", "n": 40}, False),  # the level is hidden as a whole
        ({"attribute": "site", "level": "other", "label": "coat", "n": 40}, True),
        ({"attribute": "site", "level": "other", "label": "coat", "n": 4}, False),
        ({"attribute": "site", "level": "other", "label": "coat", "n": 40, "n_clusters": 3}, False),
        ({"attribute": "site", "level": "other", "label": "coat", "n": 0}, True),
        ({"attribute": "site*sex", "level": "other × f", "label": ALL, "n": 400}, False),
    ],
)
def test_a_row_is_shown_where_its_cell_is(row: dict[str, Any], shown: bool) -> None:
    assert editor().shows(row) is shown


def test_a_total_by_label_is_hidden_under_either_name() -> None:
    hidden = Hidden({None: frozenset({(ALL, ALL, "coat")})})
    assert not editor(hidden).shows({"attribute": "label", "level": "coat", "n": 40})
    assert editor(hidden).shows({"attribute": "label", "level": "pullover", "n": 40})
    assert editor(hidden)._labels({"coat": 40, "pullover": 60}) == {"pullover": 60}


def test_joined_labels_are_counted_all_or_not_at_all() -> None:
    several = Hidden({"nodule": frozenset(), "opacity": frozenset()})
    assert editor(several)._labels({"nodule": 40, "nodule + opacity": 6}) == {}
    assert editor(several)._labels({"nodule": 40, "nodule + opacity": 60}) == {"nodule": 40, "nodule + opacity": 60}


def test_a_composition_with_a_small_cell_that_nobody_else_hides_goes_whole() -> None:
    cells = [
        {"attribute": "sex", "level": "f", "label": "a + b", "n": 4},
        {"attribute": "sex", "level": "m", "label": "a + b", "n": 60},
        {"attribute": "hand", "level": "left", "label": "a + b", "n": 30},
    ]
    assert [cell["attribute"] for cell in editor()._data(data(composition=cells))["composition"]] == ["hand"]


def test_a_test_between_a_hidden_level_and_another_is_gone() -> None:
    assert not editor().shows_test({"attribute": "site", "arm": "other", "reference": "rare"})
    assert editor().shows_test({"attribute": "site", "arm": "other", "reference": "third"})
    assert editor().shows_test({"attribute": None, "arm": "own", "reference": None})
    environment = Hidden({None: frozenset({("environment", "rare", ALL)})})
    assert not editor(environment).shows_test({"attribute": None, "arm": "rare", "reference": "other"})


def test_a_confusion_matrix_whose_rows_add_up_to_a_hidden_cell_is_gone() -> None:
    one = {"attribute": "site", "level": "rare", "counts": []}
    other = {"attribute": "sex", "level": "f", "counts": []}
    assert not editor()._shows_confusion(one, None)
    assert editor()._shows_confusion(other, None)


def test_strata_of_the_draw_are_shown_all_or_none() -> None:
    line = {"label": "coat", "clusters": 40, "rows": 40, "drawn": 20, "rows_drawn": 20}
    open_, sample = editor(Hidden({None: frozenset()})), {"strata": [line]}
    assert open_._sample(sample) == sample
    assert open_._sample({"strata": [line, {**line, "drawn": 3}]}) == {"strata": []}
    assert editor()._sample(sample) == {"strata": []}
    assert editor(threshold=None)._sample(sample) == sample


def test_ids_of_rows_in_the_document_are_pseudonyms() -> None:
    assert editor()._overlap({"unit_rows": 2, "row_ids": {"unit": ["5", "7"]}}) == {
        "unit_rows": 2,
        "row_ids": {"unit": ["1005", "1007"]},
    }


def test_why_a_column_is_not_used_is_told_without_what_stands_in_it() -> None:
    found = editor()._data(data(not_used=[{"column": "ward", "reason": "one level only: Ms Doe"}]))["not_used"]
    assert found == [{"column": "ward", "reason": "one level only"}]


def test_messages_name_nobody_and_states_stay() -> None:
    args = {"level": "Ms Doe", "n": 3, "list": ["a", "of Ms Doe"], "cue": "border", "text": "border"}
    told = editor(secrets=("Ms Doe", "error", "border")).scrub(
        {"status": "error", "message": {"key": "k", "args": args}}
    )
    left = {**args, "level": LEFT_OUT, "list": ["a", LEFT_OUT], "text": LEFT_OUT}
    assert told == {"status": "error", "message": {"key": "k", "args": left}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("patient-17", True),
        ("site = patient-17, label x", True),
        ("patient-170", False),
        ("of Ms Ann Doe, and others", True),
        ("Ms Ann Doering", False),
        ("Ms Ann", False),
        ("the ward of 'patient-17'.", True),
        ("ab", True),
        ("an ab among words", False),  # short words are no names
        ("scans/Ms Ann Doe/1.png", True),
    ],
)
def test_a_secret_is_found_as_a_whole_and_as_words(text: str, found: bool) -> None:
    assert Secrets(frozenset({"patient-17", "ab", "Ms Ann Doe"})).stand_in(text) is found


def test_folders_before_names_are_taken_off() -> None:
    assert bare("/home/doe/nets.py:Net") == "nets.py:Net"
    assert bare("C:\\doe\\nets.py:Net") == "nets.py:Net"
    assert bare("torchvision:resnet50") == "torchvision:resnet50"
    assert bare(None) is None


def bins(n: int, units: int | None = None) -> list[dict[str, Any]]:
    return [{"observed": {"n": n, "n_clusters": n if units is None else units}}]


def test_an_association_goes_with_any_cell_of_its_attribute() -> None:
    rows = [{"attribute": name} for name in ("site", "sex", "site*sex")]
    assert editor()._data(data(associations=rows))["associations"] == [{"attribute": "sex"}]
    label = Hidden({None: frozenset({(ALL, ALL, "coat")})})
    assert editor(label)._data(data(associations=rows))["associations"] == []


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"attribute": ALL, "level": ALL, "bins": bins(40)}, True),
        ({"attribute": "site", "level": "rare", "bins": bins(40)}, False),
        ({"attribute": "site", "level": "big", "bins": bins(40)}, False),  # a label of it is hidden: shares add up
        ({"attribute": "site", "level": "other", "bins": bins(40)}, True),
        ({"attribute": "site", "level": "other", "bins": bins(9)}, False),
        ({"attribute": "site", "level": "other", "bins": bins(40, 3)}, False),
        ({"attribute": "site*sex", "level": "other", "bins": bins(40)}, False),
    ],
)
def test_bins_are_shown_where_their_group_is_and_nobody_is_one_of_few(row: dict[str, Any], shown: bool) -> None:
    assert reliability([row], HIDDEN, None, editor()._few) == ([row] if shown else [])


def test_random_groups_do_not_name_a_hidden_attribute() -> None:
    assert false_alarms({"attributes": ["sex", "site*sex"], "rates": []}, HIDDEN) == {
        "attributes": ["sex"],
        "rates": [],
    }
    assert false_alarms(None, HIDDEN) is None


def test_an_average_over_the_large_groups_of_an_attribute_tells_how_many_are_in_a_hidden_one() -> None:
    performance = {
        "finding": None,
        "by_group": [],
        "left_out": [],
        "worst_group": None,
        "worst_exploratory": None,
        "worst_bound": None,
        "confusion": [],
        "others": [],
        "averages": [{"attribute": name} for name in ("site", "sex", "site*sex")],
    }
    assert editor()._performance(performance)["averages"] == [{"attribute": "sex"}]
    assert len(editor(Hidden({}))._performance(performance)["averages"]) == 3


SPLIT = Hidden({None: frozenset({("site", "south", "coat"), ("site", "south", "pullover")})})


@pytest.mark.parametrize("measure", sorted(BY_LABEL))
def test_a_measure_by_label_tells_how_a_level_divides_and_is_hidden_with_its_cells(measure: str) -> None:
    row = {"attribute": "site", "level": "south", "label": ALL, "measure": measure, "n_rows": 87, "n": 40}
    assert not editor(SPLIT).shows(row)
    assert editor(SPLIT).shows({**row, "level": "north"})
    assert editor(SPLIT).shows({**row, "measure": "accuracy"})
    test = {"attribute": "site", "arm": "south", "reference": "north", "scale": measure}
    assert not editor(SPLIT).shows_test(test)
    assert editor(SPLIT).shows_test({**test, "scale": "accuracy"})


def test_totals_of_labels_do_not_come_back_as_the_n_of_a_measure_or_a_test() -> None:
    hidden = Hidden({None: frozenset({(ALL, ALL, "coat"), (ALL, ALL, "pullover")})})
    row = {"attribute": ALL, "level": ALL, "label": ALL, "measure": "sensitivity", "n_rows": 87, "n": 40}
    assert not editor(hidden).shows(row)
    assert not editor(hidden).shows_test({"test": "on_positives", "n": 40})
    assert editor(SPLIT).shows_test({"test": "on_positives", "n": 40})


def test_every_measure_is_known_to_count_by_label_or_not_to() -> None:
    plain = {"brier", "calibration_error", "mean_absolute_error", "bias", "rank_correlation"}
    assert {*MEASURES, *NUMBER_MEASURES} <= BY_LABEL | plain


def test_a_worst_group_that_is_hidden_keeps_no_accuracy_of_which_a_count_could_be_made() -> None:
    args = {"attribute": "site", "level": "rare", "label": ALL, "accuracy": 5 / 12, "overall": 0.7}
    message = {"key": "worst_group", "args": args}
    assert editor().scrub(message)["args"]["accuracy"] is None
    assert editor().scrub({**message, "args": {**args, "level": "other"}})["args"]["accuracy"] == 5 / 12
