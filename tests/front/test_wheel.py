"""What `pip install .` brings: the rooms, the embedded data, templates, sentences and the schema."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_wheel_is_whole_and_brings_no_foreign_top_level_name(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT], check=True, cwd=tmp_path
    )
    names = zipfile.ZipFile(next(tmp_path.glob("figureground-*.whl"))).namelist()
    for needed in (
        "figureground/py.typed",
        "figureground/datasets/embedded/NOTICE.md",
        "figureground/datasets/embedded/grass.png",
        "figureground/audit/schema/audit.schema.json",
        "figureground/audit/schema/policy.schema.json",
        "figureground/reports/locales/en.json",
        "figureground/reports/locales/fr.json",
        "figureground/reports/templates/report.css",
    ):
        assert needed in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"figureground"}
