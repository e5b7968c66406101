"""A single logit as two classes: the same answers, the same maps, and nothing that was not declared."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from figureground.audit.classify.named_code import load_named, name_of
from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.readout import OneNumber, Picked, TwoClasses
from figureground.audit.classify.subject import as_number, as_subject, weights_sha256
from figureground.audit.declared.target import Target
from figureground.audit.explain.single_pass import SinglePass
from figureground.errors import SubjectError, UsageError

CLASSES = ("healthy", "sick")


def single(flat: bool = False) -> nn.Module:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)]
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *head, *([nn.Flatten(0)] if flat else [])).eval()


@pytest.mark.fault("B4")
@pytest.mark.parametrize("flat", [False, True])
def test_the_softmax_of_two_is_the_sigmoid_of_one(flat: bool) -> None:
    model, images = single(flat), torch.rand(5, 3, 8, 8)
    both = TwoClasses(model)(images)
    assert both.shape == (5, 2)
    torch.testing.assert_close(both.softmax(1)[:, 1], model(images).reshape(-1).sigmoid())
    torch.testing.assert_close(both[:, 1] - both[:, 0], model(images).reshape(-1))


@pytest.mark.fault("B4")
def test_maps_explain_the_logit_with_the_sign_of_the_prediction() -> None:
    model, images = single(), torch.rand(6, 3, 8, 8)
    found = SinglePass("model.0")(TwoClasses(model), images)
    pixels = images.clone().requires_grad_()
    z = model(pixels)[:, 0]
    (gradient,) = torch.autograd.grad(z.sum(), pixels)
    torch.testing.assert_close(found.maps["saliency", "absolute"], gradient.abs().amax(1) / 2)
    assert torch.equal(found.predicted, (z > 0).long())


def test_a_declared_single_logit_is_audited_as_two_classes() -> None:
    model = single()
    subject = as_subject(model, classes=CLASSES, kind="binary")
    assert (subject.kind, subject.task.findings) == ("binary", ("sick",))
    assert subject.sha256 == weights_sha256(model)
    assert {check.status for check in check_auditable(subject, torch.rand(3, 3, 8, 8), "model.0")} == {"passed"}


def test_a_single_logit_that_nobody_declared_is_refused_by_name() -> None:
    subject = as_subject(single(), classes=CLASSES)
    with pytest.raises(SubjectError, match=r"found \[B, 1\].*nobody declared.*kind='binary'.*sick"):
        check_auditable(subject, torch.rand(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("output", "found"),
    [(lambda x: {"logit": x[:, 0, 0, 0]}, "dict"), (lambda x: x[:, :2, 0, 0], r"shape \[2, 2\]")],
)
def test_outputs_that_are_no_single_logit_are_refused_by_name(output, found: str) -> None:
    class Other(nn.Module):
        def forward(self, images):
            return output(images)

    with pytest.raises(SubjectError, match=f"found {found}; expected .*kind='binary' declares"):
        TwoClasses(Other())(torch.rand(2, 3, 4, 4))


@pytest.mark.parametrize(
    ("kind", "classes", "told"),
    [
        ("binary", ("a", "b", "c"), "two different names, the second for a high logit"),
        ("multilabel", (), "one for each finding"),
        ("regression", ("a", "b"), "one of multiclass, binary, multilabel"),
    ],
)
def test_kinds_and_names_must_fit(kind, classes, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        as_subject(single(), classes=classes, kind=kind)


def test_one_finding_makes_a_multilabel_model() -> None:
    subject = as_subject(single(), classes=["effusion"], kind="multilabel")
    assert {check.status for check in check_auditable(subject, torch.rand(2, 3, 8, 8), "0")} == {"passed"}


def first(output: torch.Tensor) -> torch.Tensor:
    return output[:, 0]


def test_the_difference_of_the_logits_is_the_distance_from_the_cut() -> None:
    model, images = single(), torch.rand(5, 3, 8, 8)
    both = OneNumber(model, first, 3.0, "first")(images)
    torch.testing.assert_close(both[:, 1] - both[:, 0], model(images)[:, 0] - 3.0)


def test_maps_explain_the_number_itself() -> None:
    model, images = single(), torch.rand(6, 3, 8, 8)
    found = SinglePass("model.0")(OneNumber(model, first, 0.0, "first"), images)
    pixels = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(pixels)[:, 0].sum(), pixels)
    torch.testing.assert_close(found.maps["saliency", "absolute"], gradient.abs().amax(1) / 2)


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (lambda output: output, r"shape \[5, 1\]"),
        (lambda output: output[:1, 0], r"shape \[1\]"),
        (lambda output: output[:, 0].long(), "int64"),
        (lambda output: output.tolist(), "list"),
    ],
)
def test_what_is_not_one_number_per_image_is_refused_by_name(read: Any, found: str) -> None:
    with pytest.raises(SubjectError, match=found) as refused:
        OneNumber(single(), read, 0.0, "my.module:read")(torch.rand(5, 3, 8, 8))
    assert "my.module:read" in str(refused.value)


def test_a_model_with_a_number_says_that_code_runs_and_what_its_sides_are() -> None:
    model, declared = single(), Target(name="age", unit="years", cut=60, material=5, negligible=2)
    subject = as_number(model, first, declared)
    assert (subject.kind, subject.cut, subject.code_executed) == ("scalar", 60, True)
    assert subject.classes == ("age below 60 years", "age 60 years or more")
    assert subject.sha256 == weights_sha256(model)


def test_a_function_is_found_by_its_name_and_named_by_what_finds_it() -> None:
    assert load_named("torch.nn.functional:relu") is torch.nn.functional.relu
    assert load_named(name_of(Target.side)) is Target.side


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("no_such_module_here:f", "ModuleNotFoundError"),
        ("math:no_such", "no 'no_such' in math"),
        ("math:pi", "a float"),
        ("math", "another form"),
        ("math:", "another form"),
        ("os;system:x", "another form"),
    ],
)
def test_what_names_no_function_is_refused(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_named(spec)


def test_the_working_directory_is_looked_in_but_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_reading_of_it.py").write_text("def age(output):\n    return output[:, 0]\n")
    monkeypatch.chdir(tmp_path)
    if sys.flags.safe_path:
        with pytest.raises(UsageError, match="PYTHONPATH"):
            load_named("my_reading_of_it:age")
        return
    assert load_named("my_reading_of_it:age")(torch.ones(2, 3)).tolist() == [1, 1]
    assert str(tmp_path) not in sys.path


@dataclass
class Several:
    """What a head of others gives."""

    logits: torch.Tensor
    features: torch.Tensor


class Pair(NamedTuple):
    """The same as a named tuple."""

    aux: torch.Tensor
    logits: torch.Tensor


class Gives(nn.Module):
    """A model whose output is made by a function."""

    def __init__(self, make: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        self.make = make

    def forward(self, images: torch.Tensor) -> Any:
        return self.make(self.body(images))


@pytest.mark.fault("B3")
@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda z: {"logits": z, "loss": z.mean()}, "logits"),
        (lambda z: (z, z * 0), "0"),
        (lambda z: [{"out": {"x": z}}], "0.out.x"),
        (lambda z: Several(z, z * 0), "logits"),
        (lambda z: Pair(z * 0, z), "logits"),
        (lambda z: Pair(z * 0, z), "1"),
    ],
)
def test_logits_are_found_by_key_attribute_or_position(make: Any, key: str) -> None:
    torch.manual_seed(0)
    model, images = Gives(make), torch.rand(4, 3, 12, 12)
    subject = as_subject(model, classes=CLASSES, output_key=key)
    torch.testing.assert_close(subject.module(images), model.body(images))
    assert all(check.status == "passed" for check in check_auditable(subject, images, "model.body.1"))
    assert subject.sha256 == weights_sha256(model)


def test_a_key_that_is_not_there_lists_those_that_are() -> None:
    model = Gives(lambda z: {"scores": z, "loss": z.mean()})
    with pytest.raises(
        SubjectError, match=r"no 'logits' in a dict with scores \[4, 2\], loss \[\].*one of scores, loss"
    ):
        Picked(model, "logits")(torch.rand(4, 3, 12, 12))
    with pytest.raises(SubjectError, match="an output that holds several things"):
        Picked(Gives(lambda z: z), "logits")(torch.rand(4, 3, 12, 12))


@pytest.mark.fault("B3")
def test_without_a_key_an_output_of_several_things_is_refused_with_their_shapes() -> None:
    subject = as_subject(Gives(lambda z: Several(z, z)), classes=CLASSES)
    with pytest.raises(SubjectError, match=r"a Several with logits \[4, 2\], features \[4, 2\].*--output-key"):
        check_auditable(subject, torch.rand(4, 3, 12, 12))
