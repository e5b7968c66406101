"""Somebody who has a whole edition, and adds and subtracts all that is in it, finds no small cell."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from scipy.optimize import linprog
from scipy.sparse import lil_matrix
from torch import nn

import figureground as fg
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import read_table
from figureground.audit.keeping.tables import ALL
from figureground.datasets.planted import Planted
from figureground.datasets.transforms import Preprocess
from figureground.handing import bundle_run
from figureground.reports.spread import render_spread
from figureground.reports.twins.writing import render_formats

pytestmark = pytest.mark.slow

RARE, OLD, NAME = "RareClinic", "OldScanner", "Ms Planted Surname"
SMALL, SLACK = 10, 1e-6
FORMS = ("json", "junit", "csv", "card", "docx")


def tiny() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)).eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """An audit of 180 pictures, seven of them from one clinic, twelve of six people from one scanner."""
    out = tmp_path_factory.mktemp("attacked")
    manifest = Planted(association=0.5, split="test", per_label=90).write(out / "data")
    table, rng = pd.read_csv(manifest), np.random.default_rng(0)
    at = np.arange(len(table))
    table = table.drop(columns=["cluster", "object", "background"]).assign(
        site=[RARE if one < 7 else ("north", "south")[one % 2] for one in at],
        sex=np.where(rng.random(len(at)) < 0.5, "f", "m"),
        scanner=[OLD if one < 12 else "xyz"[rng.integers(3)] for one in at],
        age=rng.integers(20, 90, len(at)),
        patient=[f"{NAME} {one // 2}" for one in at],
    )
    # A ward of thirty, of whom four have one of the labels.
    ward = [*table.index[table["label"] == "coat"][-4:], *table.index[table["label"] != "coat"][-26:]]
    table["ward"] = np.where(table.index.isin(ward), "A", "B")
    table.to_csv(manifest, index=False)
    by = ["site", "sex", "scanner", "ward", "age", "environment", "site*sex"]
    classes = sorted(table["label"].unique())
    made: AuditResult = fg.run_audit(
        tiny(),
        manifest,
        classes=classes,
        transform=Preprocess(resize=(32, 32)),
        cues=["background"],
        columns={"cluster": "patient"},
        by=by,
        out=out / "run",
    )
    return made


@pytest.fixture(scope="module", params=["regulator", "public"])
def edition(request: Any, run: AuditResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An edition, and beside it all formats that its reader can make of it."""
    out = tmp_path_factory.mktemp(request.param)
    made = bundle_run(run.path, out=out / "bundle", edition=request.param, key_file=out / "key")
    for lang in ("en", "fr"):
        render_spread(AuditResult(made), out=out / "spread", lang=lang)
        render_formats(AuditResult(made), FORMS, out=out / lang, lang=lang)
    (out / "key").unlink()
    return out


Cell = tuple[str, str, str]
#: What somebody knows of a cell: at least so many rows, at most so many.
Known = tuple[Cell, float, float]


def cell(row: dict[str, Any]) -> Cell:
    attribute, level, label = row["attribute"], row["level"], row.get("label") or ALL
    return (ALL, ALL, level) if attribute == "label" else (attribute, level, label)


def known(folder: Path) -> Iterator[Known]:
    """Every count of rows by attribute, level and label, wherever it stands."""
    document = json.loads((folder / "audit.json").read_text())
    data = document["data"]
    yield (ALL, ALL, ALL), data["ok"], data["ok"]
    for label, n in data["labels"].items():
        yield (ALL, ALL, label), n, n
    for level, n in data["environments"].items():
        yield ("environment", level, ALL), n, n
    for group in data["groups"]:
        for level in group["levels"]:
            yield (group["attribute"], level["level"], ALL), level["n"], level["n"]
    for row in (*data["composition"], *data["mask_coverage"]):
        yield cell(row), row["n"], row["n"]
    positive = document["performance"]["positive"]
    named = {"sensitivity": [positive], "specificity": [one for one in data["labels"] if one != positive]}
    for row in read_table(folder, "subgroups").to_dict("records"):
        yield cell(row), row["n_rows"], row["n_rows"]
        for label in named.get(row["measure"], []) if row["label"] == ALL else []:
            yield (row["attribute"], row["level"], label), row["n"], row["n"]
    for row in document["performance"]["by_group"] + document["performance"]["left_out"]:
        yield cell(row), row["accuracy"]["n"], np.inf
    for row in document["performance"]["confusion"]:
        for label, counts in zip(document["subject"]["classes"], row["counts"], strict=True):
            yield (row["attribute"], row["level"], label), sum(counts), sum(counts)


class Attacker:
    """Knows which levels there are and every count that is shown; asks what a cell can hold, whoever is in it."""

    def __init__(self, true: pd.DataFrame, attributes: list[str], facts: list[Known]) -> None:
        self.axes = {"label": sorted(true["label"].unique())} | {a: sorted(true[a].unique()) for a in attributes}
        self.combinations = list(product(*self.axes.values()))
        matrix, self.ends = lil_matrix((2 * len(facts), len(self.combinations))), []
        for at, (key, low, high) in enumerate(facts):
            for sign, end in ((-1.0, -low), (1.0, high)):
                row = 2 * at + (sign > 0)
                matrix[row, self.members(key)] = sign
                self.ends.append(min(end, 1e6))
        self.matrix = matrix.tocsr()

    def members(self, key: Cell) -> list[int]:
        attribute, level, label = key
        names = list(self.axes)
        wanted = {name: value for name, value in ((attribute, level), ("label", label)) if value != ALL}
        return [
            at
            for at, one in enumerate(self.combinations)
            if all(one[names.index(name)] == value for name, value in wanted.items())
        ]

    def span(self, key: Cell) -> tuple[float, float]:
        cost = np.zeros(len(self.combinations))
        cost[self.members(key)] = 1.0
        found = [linprog(sign * cost, A_ub=self.matrix, b_ub=self.ends, bounds=(0, None)) for sign in (1.0, -1.0)]
        assert [one.status for one in found] == [0, 0]
        return float(found[0].fun), -float(found[1].fun)


def small_cells(true: pd.DataFrame, attributes: list[str]) -> dict[Cell, int]:
    found: dict[Cell, int] = {}
    for attribute in attributes:
        for level, rows in true.groupby(attribute):
            found[(attribute, str(level), ALL)] = len(rows)
            found |= {(attribute, str(level), str(label)): len(part) for label, part in rows.groupby("label")}
    return {key: n for key, n in found.items() if n < SMALL}


def test_counts_cannot_be_worked_out_of_all_that_is_shown(run: AuditResult, edition: Path) -> None:
    true = run.examples[run.examples["status"] == "ok"]
    attributes = ["site", "sex", "scanner", "ward", "environment"]
    facts = [
        (key, low, high)
        for key, low, high in known(edition / "bundle")
        if key[0] in (ALL, *attributes) and key[1] in {ALL, *true[attributes].to_numpy().ravel()}
    ]
    assert len(facts) > 50
    attacker, small = Attacker(true, attributes, facts), small_cells(true, attributes)
    assert small[("site", RARE, ALL)] == 7
    assert small[("ward", "A", "coat")] == 4
    for key, n in small.items():
        low, high = attacker.span(key)
        assert low - SLACK <= n <= high + SLACK
        assert high - low >= SMALL - SLACK, key


def test_the_attack_finds_what_the_run_itself_shows(run: AuditResult) -> None:
    true = run.examples[run.examples["status"] == "ok"]
    facts = [one for one in known(run.path) if one[0][0] in (ALL, "site")]
    assert Attacker(true, ["site"], facts).span(("site", RARE, ALL)) == (7.0, 7.0)
    totals = [(key, low, high) for key, low, high in known(run.path) if key[0] == ALL or key == ("ward", "A", ALL)]
    split = [(("ward", "A", "pullover"), 26.0, 26.0)]  # as the n of a sensitivity once told
    assert Attacker(true, ["ward"], totals + split).span(("ward", "A", "coat")) == (4.0, 4.0)


def words(folder: Path) -> Iterator[tuple[str, str]]:
    """All text of every file: tables and their footers, what is packed, drawings, what pictures say of themselves."""
    for file in (one for one in sorted(folder.rglob("*")) if one.is_file()):
        for name, content in opened(file.relative_to(folder).as_posix(), file.read_bytes()):
            yield name, content.decode("utf-8", errors="replace")


def opened(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, name.encode() + b"\n" + content
    if content[:4] == b"PAR1":
        table = pq.read_table(io.BytesIO(content))
        yield name, json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode()
        yield name, repr((table.schema.metadata, pq.read_metadata(io.BytesIO(content)).metadata)).encode()
    elif content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for member in packed.namelist():
                yield from opened(f"{name}/{member}", packed.read(member))
    elif content[:2] == b"\x1f\x8b":
        yield from opened(f"{name} unpacked", gzip.decompress(content))
    elif content[:4] in (b"\x89PNG", b"RIFF"):
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.getexif() == {}
            assert set(picture.info) <= {"dpi", "background", "loop", "timestamp", "transparency"}
    elif name.endswith((".html", ".svg", ".xml")):
        yield name, html.unescape(content.decode()).encode()
        for found in re.findall(rb"base64,([A-Za-z0-9+/=]+)", content):
            yield from opened(f"{name} inside", base64.b64decode(found))


def test_nothing_names_a_small_cell_a_person_a_file_or_a_pixel(run: AuditResult, edition: Path) -> None:
    hashes = {*run.examples["sha256"].dropna(), *run.examples["mask_sha256"].dropna()}
    ids = set(run.examples["row_id"].astype(str))
    paths = {Path(path).name for path in run.examples["path"]}
    wanted = sorted({RARE, NAME, str(run.path.parent), *hashes, *ids, *paths})
    held = "".join(text for _, text in words(run.path))
    assert [one for one in wanted if one not in held] == [str(run.path.parent)]
    for name, text in words(edition):
        assert [one for one in wanted if one in text] == [], name


def test_no_number_is_what_is_left_of_all_without_a_small_cell(run: AuditResult, edition: Path) -> None:
    """An average over the large groups once said of how many rows: all of them but the clinic's seven."""
    true = run.examples[run.examples["status"] == "ok"]
    left = {len(true) - int((true["site"] == RARE).sum()), len(true) - int((true["scanner"] == OLD).sum())}
    assert left == {173, 168}
    number = re.compile(rf"(?<![\d.,\w])({'|'.join(map(str, left))})(?![\d.,]|\w)")
    document = json.loads((edition / "bundle" / "audit.json").read_text())
    assert not left & set(whole_numbers(document))
    for name in ("subgroups", "tests", "mean_maps"):
        rows = read_table(edition / "bundle", name).drop(columns=["values"], errors="ignore")
        assert not left & set(whole_numbers(rows.to_dict("records")))
    for name, text in words(edition):
        if name.endswith((".csv", ".md", "junit.xml", "document.xml")):
            assert not number.search(text), name
        if name.endswith(".html"):
            shown = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)
            assert not number.search(shown), name
        if "<svg" in text[:2000] and not name.endswith(".html"):
            assert not number.search(" ".join(re.findall(r">([^<]+)</(?:text|tspan|title|desc)", text))), name


def whole_numbers(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        for one in value.values():
            yield from whole_numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from whole_numbers(one)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value
