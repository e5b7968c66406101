"""The README's example runs, and prints what the README says it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
EXAMPLE = re.compile(r"<!-- example.*?-->\n```python\n(?P<code>.*?)```\n```\n(?P<output>.*?)```\n<!-- end", re.DOTALL)


def printed(code, folder):
    """What the example prints, with ``folder`` as its working place."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        exec(compile(code, "README.md", "exec"), {"folder": folder})  # noqa: S102
    return told.getvalue()


@pytest.mark.slow
def test_the_example_prints_what_the_readme_says(tmp_path):
    example = EXAMPLE.search(README.read_text())
    assert example is not None
    assert printed(example["code"], tmp_path) == example["output"]


def test_the_example_is_short():
    example = EXAMPLE.search(README.read_text())
    assert len([line for line in example["code"].splitlines() if line.strip()]) <= 20


def test_files_that_the_readme_names_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        if not target.startswith("http"):
            assert (README.parent / target).exists(), target


def test_commands_that_the_readme_names_exist():
    from figureground.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    shell = "".join(re.findall(r"```\n(figureground .*?)```", README.read_text(), re.DOTALL))
    named = set(re.findall(r"^figureground (\w+)", shell, re.MULTILINE))
    assert {"check", "train", "audit", "report"} <= named <= known
