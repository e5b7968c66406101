"""The policy as a file: made from the model, so that neither can go stale."""

import json
import tomllib
from importlib import resources

import jsonschema
import pytest
from typer.testing import CliRunner

from figureground.audit.declared.config import DecisionEntry, Policy, load_policy
from figureground.audit.declared.policy_file import (
    EXAMPLE_DECISION,
    EXAMPLE_TARGET,
    policy_schema,
    policy_toml,
    write_policy,
)
from figureground.audit.declared.target import Target
from figureground.cli import app
from figureground.errors import UsageError


def uncommented(text):
    """The file with every example in force: a line that would be TOML without its mark is taken as such."""
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        known = bare.split(" = ")[0] in {
            *Policy.model_fields,
            *DecisionEntry.model_fields,
            *Target.model_fields,
            "background",
        }
        lines.append(bare if line != bare and (known or bare in ("[target]", "[[decision]]")) else line)
    return "\n".join(lines)


def test_the_written_file_is_the_default_policy(tmp_path):
    path = write_policy(tmp_path / "policy.toml")
    assert load_policy(path) == Policy()
    assert load_policy(path).sha256 == Policy().sha256


@pytest.mark.parametrize("name", list(Policy.model_fields))
def test_every_field_has_a_default_a_unit_and_a_meaning(name):
    lines = policy_toml().splitlines()
    at = next(
        i
        for i, line in enumerate(lines)
        if line.startswith((f"{name} = ", f"# {name} = ", f"[{name}]", f"# [{name}]", f"# [[{name}]]"))
    )
    meaning = lines[at - 1]
    assert meaning.startswith("# ")
    assert Policy.model_fields[name].description in meaning
    assert "[" in meaning
    assert "]" in meaning


def test_limits_are_told():
    assert "above 0, below 0.5" in next(line for line in policy_toml().splitlines() if "false alarm" in line)
    assert "at least 1, at most 20" in policy_toml()


def test_every_example_is_one_that_the_policy_takes():
    found = tomllib.loads(uncommented(policy_toml()))
    policy = load_policy(found)
    assert set(found) == set(Policy.model_fields)
    assert policy.subgroups == ("site", "site*sex")
    assert policy.consequence == {"background": "high"}
    assert policy.target == Target.model_validate(EXAMPLE_TARGET)
    assert policy.decision == (DecisionEntry.model_validate(EXAMPLE_DECISION),)


def test_lines_are_short_enough_to_be_read():
    assert max(map(len, policy_toml().splitlines())) <= 140


def test_the_packaged_schema_is_the_one_of_the_code():
    packaged = resources.files("figureground.audit") / "schema" / "policy.schema.json"
    assert json.loads(packaged.read_text(encoding="utf-8")) == policy_schema()


def test_the_schema_takes_what_the_policy_takes_and_refuses_what_it_refuses():
    validator = jsonschema.Draft202012Validator(policy_schema())
    jsonschema.Draft202012Validator.check_schema(policy_schema())
    validator.validate(tomllib.loads(policy_toml()))
    validator.validate(Policy().declared)
    for wrong in (
        {"alpha": 2},
        {"aplha": 0.05},
        {"consequence": {"background": "severe"}},
        {"decision": [{"by": "A"}]},
    ):
        assert list(validator.iter_errors(wrong))


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_writes_once_and_replaces_when_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "policy.toml" in call("policy", "init").output
    assert (tmp_path / "policy.toml").read_text(encoding="utf-8") == policy_toml()
    (tmp_path / "policy.toml").write_text("alpha = 0.01\n")
    refused = call("policy", "init", "-o", tmp_path / "policy.toml")
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.code == "FILE_EXISTS"
    assert load_policy(tmp_path / "policy.toml").alpha == 0.01
    assert call("policy", "init", "--overwrite").exit_code == 0
    assert load_policy(tmp_path / "policy.toml") == Policy()


def test_the_schema_is_printed_as_json():
    assert json.loads(call("policy", "schema").output) == policy_schema()
