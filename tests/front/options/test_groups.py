"""Groups of options, and that Python knows each of them under the same name and default."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from figureground.api import run_audit
from figureground.cli_audit import audit
from figureground.cli_check import check
from figureground.cli_explain import explain
from figureground.cli_seal import seal
from figureground.cli_train import train
from figureground.datasets.decoding import Decoding, DecodingOptions
from figureground.explained import explain as explain_images
from figureground.given import UNSAID
from figureground.inputs import check_inputs
from figureground.options.files import Files
from figureground.options.groups import Given, OptionGroup, Some, To, takes_groups
from figureground.options.model import Weights
from figureground.sealing import seal_policy
from figureground.training import train_classifier

VERBS = [
    (audit, run_audit),
    (check, check_inputs),
    (explain, explain_images),
    (seal, seal_policy),
    (train, train_classifier),
]


def _doubled(value: int) -> int:
    if value < 0:
        raise typer.BadParameter("below zero", param_hint="--height")
    return 2 * value


@dataclass(frozen=True)
class Box(OptionGroup):
    height: Annotated[int, typer.Option("--height", help="Of the box."), To("tall", _doubled)] = 1
    width: Annotated[int, typer.Option("--width")] = 3
    name: str = "box"


@takes_groups
def measure(
    first: str,
    *,
    before: Annotated[int, typer.Option("--before")] = 0,
    box: Annotated[Given, Some(Box, without=("name",))],
    after: Annotated[int, typer.Option("--after")] = 0,
) -> None:
    typer.echo(f"{first} {before} {sorted(box.items())} {after}")


def said(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(measure)
    return CliRunner().invoke(app, arguments)


def test_options_of_a_group_stand_where_the_group_is_named() -> None:
    assert list(inspect.signature(measure).parameters) == ["first", "before", "height", "width", "after"]


def test_what_is_given_arrives_as_python_calls_it() -> None:
    assert said("a", "--height", "4", "--after", "7").output == "a 0 [('tall', 8), ('width', 3)] 7\n"
    assert said("a").output == "a 0 [('tall', 2), ('width', 3)] 0\n"


def test_what_cannot_be_turned_is_refused_under_the_name_of_the_option() -> None:
    refused = said("a", "--height", "-1")
    assert refused.exit_code == 2
    assert "--height" in refused.output
    assert "below zero" in refused.output


def test_an_option_that_is_left_out_is_none_of_the_command() -> None:
    assert said("a", "--name", "b").exit_code == 2


def test_two_groups_cannot_have_one_option() -> None:
    def twice(one: Annotated[Given, Some(Box)], other: Annotated[Given, Some(Box)]) -> None: ...

    with pytest.raises(ValueError, match="height"):
        takes_groups(twice)


def groups_of(command: Callable[..., Any]) -> list[Some]:
    own = inspect.signature(inspect.unwrap(command), eval_str=True).parameters.values()
    return [part for one in own for part in getattr(one.annotation, "__metadata__", ()) if isinstance(part, Some)]


def given_by(some: Some) -> Given:
    """What a command gets of a group where no option is given."""
    return some.gathered({one.name: one.default for one in some.parameters})


@pytest.mark.parametrize(("command", "function"), VERBS, ids=lambda one: one.__name__)
def test_python_has_every_option_under_its_name_and_default(
    command: Callable[..., Any], function: Callable[..., Any]
) -> None:
    known = inspect.signature(function).parameters
    groups = [some for some in groups_of(command) if some.group is not Files]
    assert groups
    for name, value in (pair for some in groups for pair in given_by(some).items()):
        default = known[name].default
        assert (value or None) == (default or None), name


def test_options_of_weights_are_those_of_python() -> None:
    assert given_by(Some(Weights)) | {"model_args": None} == UNSAID


def test_options_of_files_are_those_of_decoding() -> None:
    assert list(inspect.signature(Files).parameters) == list(DecodingOptions.__annotations__)
    assert Decoding(**given_by(Some(Files))) == Decoding()
