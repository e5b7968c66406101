"""What the documents tell people to type is what the command line takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from figureground.cli import app

DOCS = Path(__file__).parents[3] / "docs"
FOUND = [
    (name, line.strip().removeprefix("run: ").partition(" || ")[0])
    for name in ("compare.md", "github-actions.md")
    for line in (DOCS / name).read_text(encoding="utf-8").splitlines()
    if re.match(r"\s*(run: )?figureground \w+ ", line)
]


@pytest.mark.parametrize(("name", "line"), FOUND)
def test_a_command_of_the_documents_parses(name, line):
    command = typer.main.get_command(app)
    verb, *words = shlex.split(line)[1:]
    found = command.commands[verb].make_context(verb, words)
    assert found.params, name


def test_the_documents_have_commands():
    assert {name for name, _ in FOUND} == {"compare.md", "github-actions.md"}
    assert {line.split()[1] for _, line in FOUND} == {"audit", "compare", "verify"}
