"""A number as the answer: what is declared of it, how labels are read, and what is refused."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from figureground.audit.declared.config import Policy, load_policy
from figureground.audit.declared.outputs import declared_target, declared_task
from figureground.audit.declared.target import Target
from figureground.audit.declared.task import Task
from figureground.datasets.intake import NUMBER, Intake
from figureground.datasets.sources import DatasetSource, open_source
from figureground.errors import UsageError

AGE = {"name": "age", "unit": "years", "cut": 60, "material": 5, "negligible": 2}
SCALAR = Task("scalar", Target(**AGE).classes)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_lies_on_one_side_and_reads_back_as_itself(value):
    target = Target(**AGE)
    assert target.number(repr(value)) == value
    assert target.side(value) == target.classes[value >= 60]


@pytest.mark.parametrize("label", ["", "old", "nan", "inf", "-inf", "61,5"])
def test_what_is_no_number_stands_for_none(label):
    assert Target(**AGE).number(label) is None


def test_words_stand_for_the_numbers_that_the_target_gives_them_and_for_no_others():
    grade = Target(name="grade", cut=2, material=0.5, negligible=0.2, values={"mild": 1, "severe": 3})
    assert [grade.number(word) for word in ("mild", "severe", "2", "none")] == [1, 3, None, None]
    assert grade.classes == ("grade below 2", "grade 2 or more")


@pytest.mark.parametrize(
    "change", [{"cut": math.nan}, {"material": 0}, {"negligible": -1}, {"name": ""}, {"colour": "red"}]
)
def test_a_target_that_says_nothing_is_refused(change):
    with pytest.raises(ValidationError):
        Target(**(AGE | change))


def test_the_negligible_effect_is_smaller_than_the_material_one():
    with pytest.raises(UsageError, match="less than material"):
        load_policy({"target": AGE | {"negligible": 5}})


def test_an_unknown_field_of_a_target_comes_with_the_nearest_one():
    with pytest.raises(UsageError, match="did you mean 'material'"):
        load_policy({"target": AGE | {"materiel": 5}})


def test_a_policy_without_a_number_is_hashed_as_it_always_was():
    assert "target" not in Policy().declared
    assert load_policy({"target": AGE}).declared["target"]["cut"] == 60


@pytest.mark.parametrize(
    ("task", "policy"),
    [
        (SCALAR, Policy()),
        (Task("multiclass", ("a", "b")), load_policy({"target": AGE})),
        (SCALAR, load_policy({"target": AGE | {"cut": 61}})),
    ],
)
def test_the_number_of_the_model_and_that_of_the_policy_must_be_the_same(task, policy):
    with pytest.raises(UsageError, match="TARGET"):
        declared_task(task, policy)


def test_a_number_has_no_operating_threshold():
    with pytest.raises(UsageError, match="the answer is a number"):
        declared_task(SCALAR, load_policy({"target": AGE, "thresholds": {SCALAR.classes[1]: 0.3}}))


@pytest.mark.parametrize(("classes", "kind"), [(("a", "b"), None), (None, "binary")])
def test_classes_and_kinds_do_not_go_with_a_number(classes, kind):
    with pytest.raises(UsageError, match="beside a target"):
        declared_target(load_policy({"target": AGE}), classes, kind)


def test_a_target_that_the_policy_says_nothing_of_is_refused():
    with pytest.raises(UsageError, match=r"declare name, unit, cut"):
        declared_target(Policy(), None, None)


def rows(labels, audit_manifest):
    frame = pd.read_csv(audit_manifest, dtype=str, keep_default_na=False).head(len(labels))
    return open_source(frame.assign(label=labels), classes=(), root=audit_manifest.parent)


def test_labels_are_kept_as_numbers_beside_their_side_and_others_are_set_aside_and_counted(audit_manifest):
    source = rows(["59.5", "60", "", "old", "1e3"], audit_manifest)
    examples = Intake(Target(**AGE).classes, numbered=Target(**AGE))(source, source.table())
    frame = examples.frame.sort_values("position")
    assert frame["status"].tolist() == ["ok", "ok", "quarantined", "quarantined", "ok"]
    assert frame["reason"].tolist()[2:4] == ["label_missing", "label_unknown"]
    assert "'old' is no number" in frame["detail"].iloc[3]
    below, above = Target(**AGE).classes
    assert frame["label"].tolist() == [below, above, "", "old", above]
    assert examples.usable.sort_values("position")[NUMBER].astype(float).tolist() == [59.5, 60, 1000]
    assert NUMBER in examples.stored
    assert NUMBER not in examples.attributes


def test_labels_that_are_names_bring_no_column_of_numbers(audit_manifest):
    source = open_source(audit_manifest, classes=())
    table = source.table()
    assert NUMBER not in Intake(tuple(table["label"].unique()))(source, table).stored


@pytest.mark.parametrize(
    ("label", "classes", "said"),
    [(2.7, ("a", "b", "c"), "2.7"), (2.0, ("a", "b", "c"), "c"), (-1, ("a",), "-1"), (3, (), "3"), (61.5, (), "61.5")],
)
def test_a_label_of_a_dataset_is_an_index_only_where_it_is_one(label, classes, said):
    """2.7 is no third class; it used to be cut off to one."""
    assert DatasetSource([{"image": None, "label": label}], classes).table()["label"].tolist() == [said]
