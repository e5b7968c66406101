"""What every verb can be told of a model's file and of files of pictures."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from figureground.api import run_audit
from figureground.datasets.decoding import Decoding, DecodingOptions
from figureground.errors import UsageError
from figureground.explained import explain
from figureground.given import UNSAID, OriginOptions, parted
from figureground.inputs import check_inputs
from figureground.said import asked_model


def test_what_is_said_goes_where_it_belongs() -> None:
    origin, decoding = parted({"weights": "a.pt", "frame": 2, "python_path": ["code"]})
    assert origin == {**UNSAID, "weights": "a.pt", "python_path": ["code"]}
    assert decoding == Decoding(frame=2)
    assert parted({}) == (UNSAID, Decoding())


def test_nothing_said_is_whole() -> None:
    assert list(UNSAID) == list(OriginOptions.__annotations__)


def test_all_that_is_said_of_a_file_reaches_the_model() -> None:
    said: Any = {
        "model_class": "pkg:Net",
        "model_args": {"n": 3},
        "weights": "a.pt",
        "expect_sha256": "1",
        "trust_model": "2",
        "allow_globals": ["pkg.Cfg"],
        "allow_nonfinite": True,
        "python_path": ["code"],
    }
    assert said.keys() == UNSAID.keys()
    found = asked_model("net", parted(said)[0], kind="binary")
    origin = found.origin
    assert (origin.model_class, origin.arguments, str(origin.weights)) == ("pkg:Net", {"n": 3}, "a.pt")
    assert (origin.sha256, origin.trusted, origin.allow_globals) == ("1", "2", ("pkg.Cfg",))
    assert origin.allow_nonfinite
    assert [str(path) for path in origin.python_path] == ["code"]
    assert (found.model, found.kind) == ("net", "binary")


@pytest.mark.parametrize("verb", [run_audit, check_inputs, explain])
def test_help_names_every_option_with_its_default(verb: Any) -> None:
    parameters = inspect.signature(verb).parameters
    assert not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    for name, default in UNSAID.items():
        assert parameters[name].default == default
    for name in DecodingOptions.__annotations__:
        assert parameters[name].default == getattr(Decoding(), name)
    assert parameters["weights"].annotation == "str | Path | None"


def test_what_is_no_option_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="maximages"):
        check_inputs("none.csv", maximages=3)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="sideways"):
        check_inputs("none.csv", exif="sideways")  # type: ignore[arg-type]
