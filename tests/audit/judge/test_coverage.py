"""The short form of ``benchmarks/coverage.py``: what intervals hold at 30 clusters, within simulation error."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def coverage():
    spec = importlib.util.spec_from_file_location("coverage_benchmark", ROOT / "benchmarks" / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


@pytest.fixture(scope="module")
def table(coverage):
    return coverage.run(300, quick=True)


def _error(level, n):
    return 3 * (level * (1 - level) / n) ** 0.5


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(coverage, table):
    usual = table[~table["rare"]]
    for name, level in coverage.NOMINAL.items():
        if name.startswith("subgroup"):
            continue  # needs 60 clusters
        part = usual[usual["name"] == name]
        pooled = part["hits"].sum() / part["n"].sum()
        # Data sets of one plan have their donors in common: a little less independent than their number says.
        assert pooled >= level - 0.02 - _error(level, part["n"].sum()), (name, pooled)


@pytest.mark.slow
def test_tests_err_no_more_often_than_they_say(coverage, table):
    for name, size in coverage.SIZES.items():
        part = table[table["name"] == name]
        pooled = part["hits"].sum() / part["n"].sum()
        assert pooled <= size + 0.01 + _error(size, part["n"].sum()), (name, pooled)


@pytest.mark.slow
def test_the_command_writes_every_interval_between_the_markers(coverage, table, tmp_path, monkeypatch):
    document = tmp_path / "statistics.md"
    document.write_text(f"before\n{coverage.START}\nold\n{coverage.END}\nafter\n")
    monkeypatch.setattr(coverage, "DOCUMENT", document)
    monkeypatch.setattr(coverage, "run", lambda *_: table)
    monkeypatch.setattr(sys, "argv", ["coverage.py", "--quick", "--replications", "300"])
    coverage.main()
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    for name in (set(coverage.NOMINAL) | set(coverage.SIZES)) - {"subgroup (a third of the clusters)"}:
        assert f"| {name} |" in text


def test_the_document_names_the_command_the_date_and_every_interval(coverage):
    text = coverage.DOCUMENT.read_text(encoding="utf-8")
    shown = text.split(coverage.START)[1].split(coverage.END)[0]
    assert re.search(r"`python benchmarks/coverage\.py [-a-z ]*\d+`, \d{4}-\d\d-\d\d", shown)
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    for name in (set(coverage.NOMINAL) | set(coverage.SIZES)) - {"subgroup (a third of the clusters)"}:
        found = [line for line in rows if line.startswith(f"| {name} |")]
        assert found, name
        assert all(len(line.split("|")) == 12 for line in found)
