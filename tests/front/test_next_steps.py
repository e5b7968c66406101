"""Next steps are commands of this version: each is given to the parser of the command line, and would run."""

import json
import re
import shlex
from importlib import resources

import pytest
import typer

from figureground.audit.document.audit_json import Message
from figureground.audit.judge.next_steps import COMMANDS, NO_COMMAND, with_commands
from figureground.cli import app

ARGUMENTS = {"cue": "corner_top_left,region:ruler", "n_needed": 400}
LINES = [line for key in COMMANDS for line in with_commands(Message(key=key, args=ARGUMENTS)).args["commands"]]


def parsed(line):
    """Name and parsed parameters of a command whose arguments are all known and complete; an error otherwise."""
    program, name, *words = shlex.split(line)
    assert program == "figureground"
    command = typer.main.get_command(app).commands[name]
    with command.make_context(name, words) as context:
        assert not context.args
        return name, context.params


@pytest.mark.parametrize("line", sorted(set(LINES)))
def test_every_command_is_one_of_this_version(line):
    name, parameters = parsed(line)
    assert name in ("audit", "check", "judge", "train")
    assert sum(value is not None for value in parameters.values()) >= 2
    assert "{" not in line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("figureground judge RUN --again OTHER -o RUN2", "--again"),
        ("figureground judge RUN", "out"),
        ("figureground guess RUN", "guess"),
    ],
)
def test_what_is_no_command_is_noticed(line, words):
    with pytest.raises(Exception, match=words):
        parsed(line)


def test_every_next_step_of_the_report_can_be_run_or_says_that_there_is_none():
    text = (resources.files("figureground.reports") / "locales" / "en.json").read_text(encoding="utf-8")
    steps = {key for key in json.loads(text) if key.startswith("next_")}
    assert steps - set(NO_COMMAND) == set(COMMANDS)
    source = resources.files("figureground.audit.judge")
    written = "".join(file.read_text(encoding="utf-8") for file in source.iterdir() if file.name.endswith(".py"))
    said = set(re.findall(r'"(next_[a-z_]+)"', written)) - {"next_step", "next_steps"}
    assert said
    assert said <= {*COMMANDS, *NO_COMMAND}


def test_a_step_keeps_its_words_and_what_is_none_stays_none():
    step = Message(key="next_more_data", args={"n_needed": 400})
    assert with_commands(step).args["n_needed"] == 400
    none = Message(key="more_images_no_help")
    assert with_commands(none) is none


@pytest.mark.parametrize("name", ["a b", "$(id)", "`id`", "x; rm -rf ~", "'\"'", "a\nb", "-o", "|cat", "tint"])
def test_a_name_in_a_command_is_one_word_of_a_shell(name: str) -> None:
    step = with_commands(Message(key="next_audit_cue", args={"cue": f"region:{name}"}))
    (command,) = step.args["commands"]
    assert shlex.split(command) == ["figureground", "audit", "MODEL", "DATA", "--cue", f"region:{name}", "-o", "RUN2"]
