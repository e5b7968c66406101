"""Rendered again anywhere else, a run gives the same bytes: other hash seed, locale, time zone, user, place, pandas."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from figureground.audit.keeping import tables
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import RunFolder
from figureground.reports.twins import print as printing

pytestmark = pytest.mark.slow

#: Renders the run in its first argument into the folder in its second, under the key in its third, and prints hashes.
RENDER = """
import hashlib, json, locale, sys
from contextlib import suppress
from pathlib import Path

with suppress(locale.Error):
    locale.setlocale(locale.LC_ALL, "")
from figureground.comparing import compare_runs
from figureground.handing import bundle_run
from figureground.rendering import load_run, render_formats, render_report

run, out, key = map(Path, sys.argv[1:4])
found = load_run(run)
forms = ["json", "junit", "csv", "card", "docx", *sys.argv[4:]]
for lang in ("en", "fr"):
    render_report(found, out=out / "single" / f"{lang}.html", lang=lang)
    render_report(found, out=out / "folder", lang=lang, layout="folder")
    render_formats(found, forms, out=out / "forms" / lang, lang=lang)
    compare_runs(run, run, out=out / f"compare.{lang}.html", json=out / f"compare.{lang}.json", lang=lang)
for edition in ("internal", "regulator", "public"):
    bundle_run(run, out=out / edition, edition=edition, key_file=key, lang="fr")
files = [file for file in out.rglob("*") if file.is_file()]
hashes = {file.relative_to(out).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
(out / "hashes").write_text(json.dumps(hashes), encoding="ascii")
"""
STYLE = (
    "font.size: 31\nfigure.dpi: 37\nlines.linewidth: 9\naxes.facecolor: red\naxes.grid.axis: x\nsavefig.pad_inches: 2\n"
)


@dataclass(frozen=True)
class Elsewhere:
    """Where the same is rendered: variables that are set and unset, a style of matplotlib's nearby, a mask of modes."""

    set: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    style: bool = False
    umask: int = 0o022


ELSEWHERE = {
    "ascii, far east, open": Elsewhere(
        {
            "PYTHONHASHSEED": "1",
            "LC_ALL": "C",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "TZ": "Pacific/Kiritimati",
        },
        style=True,
        umask=0,
    ),
    "french, half an hour, nobody": Elsewhere(
        {"PYTHONHASHSEED": "random", "LC_ALL": "fr_FR.UTF-8", "LANG": "fr_FR.UTF-8", "TZ": "America/St_Johns"},
        unset=("HOME", "USER", "LOGNAME", "USERNAME"),
        umask=0o077,
    ),
    "turkish": Elsewhere({"PYTHONHASHSEED": "4294967295", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"}),
}
#: The lowest that goes with our floor of NumPy, and a version of each minor one since.
PANDAS = ("2.2.2", "2.3.3", "3.0.0", "3.1.0")


@pytest.fixture(scope="module")
def run(synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all tables, charts, pictures, mean maps, and a person who decided."""
    folder = tmp_path_factory.mktemp("same") / "run"
    made = synthetic()
    result: AuditResult = made.write(folder, human_inputs=_people(made))
    own = RunFolder(result.path)
    own.write_table("mean_maps.parquet", _means(), tables.MEAN_MAPS)
    own.seal()
    return folder


def _people(made: Any) -> list[dict[str, Any]]:
    given = made.document().model_dump(mode="json")["human_inputs"]
    return [{**one, "value": "Tri d’images", "by": "Ève Łódź", "at": "2026-11-28"} for one in given]


def _means() -> pd.DataFrame:
    keys = {"attribute": "(all)", "level": "(all)", "label": "(all)", "sign": "absolute", "n": 24, "n_clusters": 24}
    return pd.DataFrame(
        [
            {**keys, "method": method, "height": 4, "width": 4, "values": list(np.arange(16) / 120), "row_ids": [1, 2]}
            for method in ("saliency", "gradcam")
        ]
    )


def rendered(run: Path, folder: Path, where: Elsewhere = Elsewhere(), *forms: str) -> dict[str, str]:
    """SHA-256 by name of all that is rendered of a copy of the run in a process of its own."""
    folder.mkdir()
    copy, key = folder / "a copy", folder.parent / "key"
    shutil.copytree(run, copy, copy_function=shutil.copy)  # with other times
    if not key.exists():
        key.touch(0o600)
        key.write_text("ab" * 32)
    if where.style:
        (folder / "matplotlibrc").write_text(STYLE)
    env = {name: value for name, value in {**os.environ, **where.set}.items() if name not in where.unset}
    command = [sys.executable, "-P", "-c", RENDER, str(copy), str(folder / "out"), str(key), *forms]
    done = subprocess.run(command, env=env, cwd=folder, umask=where.umask, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    found: dict[str, str] = json.loads((folder / "out" / "hashes").read_text())
    return found


@pytest.fixture(scope="module")
def here(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    found = rendered(run, tmp_path_factory.mktemp("here") / "here")
    assert {Path(name).suffix for name in found} >= {
        ".html",
        ".css",
        ".xml",
        ".csv",
        ".md",
        ".docx",
        ".json",
        ".parquet",
    }
    return found


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


@pytest.mark.parametrize("where", ELSEWHERE)
def test_elsewhere_the_bytes_are_the_same(where: str, run: Path, here: dict[str, str], tmp_path: Path) -> None:
    assert differing(here, rendered(run, tmp_path / "there", ELSEWHERE[where])) == []


@pytest.mark.skipif(not any(map(shutil.which, printing.BROWSERS)), reason="no Chromium")
def test_on_paper_the_bytes_are_the_same(run: Path, tmp_path: Path) -> None:
    far = ELSEWHERE["ascii, far east, open"]
    one, other = rendered(run, tmp_path / "one", Elsewhere(), "pdf"), rendered(run, tmp_path / "other", far, "pdf")
    assert any(name.endswith(".pdf") for name in one)
    assert differing(one, other) == []


@pytest.mark.parametrize("version", PANDAS)
def test_with_another_pandas_the_bytes_are_the_same(
    version: str, run: Path, here: dict[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), "--no-deps"]
    wanted = [f"pandas=={version}", "pytz", "tzdata"]
    done = subprocess.run([*install, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pandas {version} cannot be had from a package index here: {done.stderr.strip()[-200:]}")
    before = [str(target), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {"PYTHONPATH": os.pathsep.join(before)}
    probe = "import pandas; print(pandas.__version__)"
    told = subprocess.run(
        [sys.executable, "-P", "-c", probe], env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == version
    assert differing(here, rendered(run, tmp_path / "there", Elsewhere(env))) == []
