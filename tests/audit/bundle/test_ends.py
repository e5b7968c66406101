"""Bins are named without the least and the greatest value, wherever they stand."""

from __future__ import annotations

import pandas as pd

from figureground.audit.bundle.ends import Ends
from figureground.audit.document.audit_json import Group, Level


def group(attribute: str, levels: list[str], edges: list[float] | None) -> Group:
    made = [Level(level=level, n=20) for level in levels]
    return Group(attribute=attribute, origin="default", levels=made, bin_edges=edges)


AGE = ["[17, 40)", "[40, 61)", "[61, 97]", "(missing)"]
ENDS = Ends.of([group("age", AGE, [17, 40, 61, 97]), group("age:18", ["[17, 40)"], [18]), group("site", ["a"], None)])


def test_the_outermost_bins_lose_their_ends() -> None:
    assert [ENDS.level("age", level) for level in AGE] == ["< 40", "[40, 61)", "≥ 61", "(missing)"]
    assert ENDS.level("age:18", "[17, 40)") == "[17, 40)"  # declared edges are nobody's value
    assert ENDS.level("site*age", "a × [61, 97]") == "a × ≥ 61"
    assert Ends.of([group("x", ["[3, 3]"], [3, 3])]).level("x", "[3, 3]") == "all values"


def test_tables_and_documents_are_told_alike() -> None:
    rows = pd.DataFrame({"attribute": ["age", None, "site"], "level": ["[17, 40)", "[17, 40)", "a"], "arm": [None] * 3})
    assert ENDS.frame(rows)["level"].tolist() == ["< 40", "[17, 40)", "a"]
    told = ENDS.document(
        {
            "groups": [{"attribute": "age", "bin_edges": [17, 40, 61, 97], "levels": [{"level": "[61, 97]", "n": 3}]}],
            "worst": {"attribute": "age", "group": "[17, 40)", "n": 1},
            "level": "[17, 40)",
        }
    )
    assert told["groups"] == [{"attribute": "age", "bin_edges": [40, 61], "levels": [{"level": "≥ 61", "n": 3}]}]
    assert told["worst"]["group"] == "< 40"
    assert told["level"] == "[17, 40)"
