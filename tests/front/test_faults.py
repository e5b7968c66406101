"""Every fault of the list has a test, and the table of them is the one that the tests give."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "scripts" / "fault_table.py"))


def test_the_table_is_up_to_date_and_no_fault_is_without_a_test(script):
    faults = json.loads((ROOT / "tests" / "faults.json").read_text(encoding="utf-8"))
    shown = [item for file in sorted((ROOT / "tests").rglob("test_*.py")) for item in script["shown_by"](file)]
    assert {item.fault for item in shown} == set(faults)
    assert len(faults) == 103
    said = script["table"](faults, shown)
    assert said == (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"), "run python scripts/fault_table.py"


def test_a_mark_of_an_unknown_fault_and_a_missing_test_are_told(script, tmp_path, monkeypatch):
    file = tmp_path / "test_x.py"
    file.write_text(
        'import pytest\n\n\n@pytest.mark.slow\n@pytest.mark.fault("Z1", better="b")\ndef test_it():\n    pass\n'
    )
    monkeypatch.setitem(script["shown_by"].__globals__, "ROOT", tmp_path)
    (item,) = script["shown_by"](file)
    assert (item.fault, item.test, item.slow, item.better) == ("Z1", "test_x.py::test_it", True, "b")
    fault = {"fault": "f", "expected": "e"}
    with pytest.raises(SystemExit, match="Z1"):
        script["table"]({"A1": fault}, [item])
    assert "Without one: A1." in script["table"]({"A1": fault}, [])
