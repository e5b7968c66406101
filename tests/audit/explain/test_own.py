"""A caller's own method: what it must have, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from figureground.audit.explain.own import as_own, identity_of
from figureground.audit.explain.registry import explainer_for
from figureground.errors import SubjectError, UsageError


@dataclass(frozen=True)
class Mine:
    name: str = "mine"
    scale: float = 1.0

    def __call__(self, model, inputs, target):
        pixels = inputs.clone().requires_grad_()
        model(pixels).gather(1, target[:, None]).sum().backward()
        return (pixels.grad * pixels).sum(1).detach() * self.scale


class Absolute(Mine):
    sign = "absolute"
    cost = 7.0


class Coarse(Mine):
    def __call__(self, model, inputs, target):
        return super().__call__(model, inputs, target)[:, ::4, ::4]


class ByTheBatch(Mine):
    """Its maps are divided by the largest value of the batch."""

    def __call__(self, model, inputs, target):
        found = super().__call__(model, inputs, target)
        return found / found.abs().max()


class Flat(Mine):
    def __call__(self, model, inputs, target):
        return super().__call__(model, inputs, target).flatten(1)


class Needy:
    def __init__(self, needed):
        self.name = needed


def test_it_stands_beside_ours(ending, few):
    found = explainer_for(["input_x_gradient", Mine()], ending, sample=few)(ending, few)
    assert list(found.maps)[-1] == ("mine", "positive")
    torch.testing.assert_close(found.maps["mine", "positive"], found.maps["input_x_gradient", "positive"])
    assert found.layers["mine"] == "input"


def test_sign_cost_and_resolution_are_its_own(ending, few):
    explain = explainer_for([Absolute], ending)
    assert set(explain(ending, few).maps) == {("mine", "absolute")}
    assert explain.cost(17, 13) == 3 + 7
    coarse = explainer_for([Coarse()], ending)(ending, few)
    assert coarse.native["mine"].shape == (3, 5, 4)
    assert coarse.maps["mine", "positive"].shape == (3, 17, 13)


def test_one_that_looks_at_the_rest_of_the_batch_is_refused(ending, few):
    with pytest.raises(UsageError, match=r"METHOD_BATCH.*mine.*explained alone"):
        explainer_for([ByTheBatch()], ending, sample=few)


def test_another_shape_is_refused(ending, few):
    with pytest.raises(SubjectError, match=r"METHOD_OWN.*float32 \[3, 221\].*float \[3, h, w\]"):
        explainer_for([Flat()], ending)(ending, few)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Mine(name="saliency"), "a name of ours"),
        (Mine(name="two words"), "identifier"),
        (type("Turned", (Mine,), {"sign": "negative"})(), "positive or absolute"),
        (Needy, "made without arguments"),
        ("text", "something to call"),
    ],
)
def test_what_lacks_something_is_refused(given, told):
    with pytest.raises(UsageError, match=rf"METHOD_OWN.*{told}"):
        as_own(given)


def test_it_is_known_by_its_place_its_settings_and_its_source():
    assert identity_of(Mine()) == identity_of(Mine())
    assert identity_of(Mine()) != identity_of(replace(Mine(), scale=2.0))
    assert ":Mine Mine(name='mine', scale=1.0) source " in identity_of(Mine())
    assert identity_of(Absolute()).rsplit(" ", 1)[1] != identity_of(Mine()).rsplit(" ", 1)[1]
    plain = type("Plain", (), {"name": "plain", "__call__": lambda *_: None})
    assert identity_of(plain()) == identity_of(plain()), "no address of this process"
