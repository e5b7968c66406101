"""The front door: lazy names, no heavy imports, no shadowing, no torch in reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import figureground as fg

ROOT = Path(__file__).resolve().parents[2]


def run_python(code, *options, cwd=ROOT, **env):
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONSAFEPATH", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, *options, "-c", code], cwd=cwd, env=clean | env, capture_output=True, text=True, timeout=300
    )


def test_all_names_resolve_and_are_documented():
    for name in fg.__all__:
        assert (getattr(fg, name).__doc__ or "").strip(), name


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'audit_everything'"):
        fg.audit_everything  # noqa: B018


def test_no_function_bears_the_name_of_a_room():
    assert {"audit", "datasets", "reports"}.isdisjoint(fg.__all__)


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from figureground.cli import app; "
        "print(CliRunner().invoke(app, ['--help']).output); "
        "heavy = {'torch', 'pandas', 'numpy', 'matplotlib', 'pytorch_lightning', 'pydantic'} & set(sys.modules); "
        "sys.exit(f'heavy: {heavy}' if heavy else 0)"
    )
    done = run_python(code, "-P")
    assert done.returncode == 0, done.stderr
    for command in ("demo", "check", "train", "audit", "report"):
        assert command in done.stdout


@pytest.mark.parametrize("room", ["datasets", "audit", "reports"])
def test_links_in_the_root_explain_themselves(room):
    done = run_python(f"import {room}")
    assert done.returncode == 1
    assert "ImportError: this is figureground's own folder" in done.stderr


def test_reports_room_does_not_load_torch():
    code = (
        "import sys, pkgutil, importlib, figureground.reports as room\n"
        "found = pkgutil.walk_packages(room.__path__, 'figureground.reports.')\n"
        "[importlib.import_module(module.name) for module in found]\n"
        "import figureground.audit.judge.judging\n"
        "sys.exit('torch was loaded' if 'torch' in sys.modules else 0)"
    )
    done = run_python(code, "-P")
    assert done.returncode == 0, done.stderr
