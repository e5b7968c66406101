"""A single logit as two classes: the same answers, the same maps, and nothing that was not declared."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.readout import TwoClasses
from figureground.audit.classify.subject import as_subject, weights_sha256
from figureground.audit.explain.single_pass import SinglePass
from figureground.errors import SubjectError, UsageError

CLASSES = ("healthy", "sick")


def single(flat: bool = False) -> nn.Module:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)]
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *head, *([nn.Flatten(0)] if flat else [])).eval()


@pytest.mark.parametrize("flat", [False, True])
def test_the_softmax_of_two_is_the_sigmoid_of_one(flat: bool) -> None:
    model, images = single(flat), torch.rand(5, 3, 8, 8)
    both = TwoClasses(model)(images)
    assert both.shape == (5, 2)
    torch.testing.assert_close(both.softmax(1)[:, 1], model(images).reshape(-1).sigmoid())
    torch.testing.assert_close(both[:, 1] - both[:, 0], model(images).reshape(-1))


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
