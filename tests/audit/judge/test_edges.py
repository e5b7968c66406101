"""Numbers cut at declared edges, columns that name rows, and levels that no row has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from figureground.audit.judge.edges import cut_at, join_edges, split_edges
from figureground.audit.judge.grouping import MOST_LEVELS, check_groups, group_rows
from figureground.audit.keeping.tables import MISSING
from figureground.datasets.intake import Intake
from figureground.datasets.sources import open_source
from figureground.errors import UsageError
from figureground.options.texts import as_groups


def frame(n=60, **columns):
    return pd.DataFrame({"label": ["cat", "dog"] * (n // 2), "environment": None, **columns})


@pytest.mark.fault("E14")
def test_declared_edges_cut_numbers_and_what_is_no_number_stays_a_level():
    ages = ["17.9", "18", "39", "40", "64.5", "65", "90", "NA", None, "-3"] * 6
    found = group_rows(frame(age=ages), ["age"], ["age:18,40,65"]).groups[0]
    assert found.levels == ("< 18", "[18, 40)", "[40, 65)", ">= 65", "NA", MISSING)
    assert found.values[:10].tolist() == [
        "< 18", "[18, 40)", "[18, 40)", "[40, 65)", "[40, 65)", ">= 65", ">= 65", "NA", MISSING, "< 18",
    ]  # fmt: skip
    assert (found.attribute, found.origin, found.bin_edges) == ("age:18,40,65", "declared", (18.0, 40.0, 65.0))
    counts = found.values.value_counts()
    assert sum(int(counts.get(level, 0)) for level in found.levels) == 60


@pytest.mark.fault("E14")
def test_bins_agree_with_pandas():
    values = np.random.default_rng(0).normal(50, 20, 200).round(1)
    _, binned = cut_at(pd.Series(values.astype(str)), (18, 40.5, 65))
    expected = pd.cut(
        values, [-np.inf, 18, 40.5, 65, np.inf], right=False, labels=["< 18", "[18, 40.5)", "[40.5, 65)", ">= 65"]
    )
    assert binned.tolist() == list(expected)


@pytest.mark.fault("E14")
def test_edges_on_the_command_line_hold_commas():
    assert as_groups(["site,age:18,40,65,sex", "age:50*sex"]) == ["site", "age:18,40,65", "sex", "age:50*sex"]
    assert as_groups(["sex*age:18,40*site"]) == ["sex*age:18,40*site"]
    assert join_edges(["2020", "a:b", "3"]) == ["2020", "a:b,3"]
    crossed = group_rows(frame(age=["10", "20"] * 30, sex=["F"] * 60), ["age", "sex"], ["sex*age:18,40"]).groups[0]
    assert crossed.levels == ("F × < 18", "F × [18, 40)", "F × >= 40")


def test_a_column_that_is_named_like_edges_is_that_column():
    assert split_edges("age:18", ["age:18", "age"]) == ("age:18", None)
    for edges in ("18,18", "40,18", "18,inf"):
        with pytest.raises(UsageError, match="SUBGROUP"):
            split_edges(f"age:{edges}", ["age"])
    with pytest.raises(UsageError, match="no column 'aeg:18'"):
        group_rows(frame(age=["1"] * 60), ["age"], ["aeg:18"])


@pytest.mark.fault("E13")
def test_a_column_that_names_the_rows_is_listed_and_refused_only_where_it_is_asked_for():
    n = 5_000
    rows = frame(n, patient=[f"p{at}" for at in range(n)], number=[str(at) for at in range(n)], one=["x"] * n)
    columns = ["patient", "number", "one"]
    found = group_rows(rows, columns, None)
    assert found.groups == ()
    assert {item.column: item.reason for item in found.not_used} == {
        "patient": "5000 levels: an identifier, a date or free text",
        "number": "5000 distinct whole numbers: an identifier",
        "one": "one level only: x",
    }
    for name in ("patient", "number", "one*patient"):
        with pytest.raises(UsageError, match="identifier") as caught:
            check_groups(rows, columns, [name])
        assert caught.value.exit_code == 2
    check_groups(rows, columns, ["number:100,200", "one"])
    check_groups(frame(MOST_LEVELS, hospital=[f"h{at}" for at in range(MOST_LEVELS)]), ["hospital"], ["hospital"])


@pytest.mark.fault("E15")
def test_a_level_that_no_row_has_is_a_level():
    rows = frame(site=["north", "south"] * 30, kind=["a", "b", "c"] * 20, age=[str(at / 2) for at in range(60)])
    declared = {"site": ("north", "south", "west"), "age": ("0", "1")}
    found = {
        group.attribute: group for group in group_rows(rows, ["site", "kind", "age"], None, levels=declared).groups
    }
    assert "site" not in found  # here the site is the label
    assert found["kind"].levels == ("a", "b", "c")
    assert len(found["age"].levels) == 4
    asked = group_rows(rows, ["site"], ["site"], levels=declared).groups[0]
    assert asked.levels == ("north", "south", "west")
    assert (asked.values == "west").sum() == 0


@pytest.mark.fault("E5")
def test_five_words_for_nothing_and_an_empty_cell_are_six_groups(tmp_path):
    words = ["NA", "N/A", "null", "None", "nan", ""]
    lines = [f"{n}.png,{'cat' if n % 2 else 'dog'},{words[n // 2 % 6]}" for n in range(60)]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,label,site", *lines]))
    source = open_source(tmp_path, classes=("cat", "dog"))
    rows = Intake(("cat", "dog")).candidates(source.table(), source.where)
    found = group_rows(rows, ["site"], None).groups[0]
    assert set(found.levels) == {"NA", "N/A", "null", "None", "nan", MISSING}
    assert found.values.value_counts().to_dict() == dict.fromkeys(found.levels, 10)
