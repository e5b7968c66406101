"""Occlusion against a loop over windows, and which maps can be had of which model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from figureground.audit.classify.opaque import Answering
from figureground.audit.declared.config import AuditConfig
from figureground.audit.explain.choosing import choose_explainer
from figureground.audit.explain.occlusion import OcclusionMaps
from figureground.audit.explain.single_pass import SinglePass
from figureground.errors import UsageError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


class Detached(Net):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.mark.parametrize("size", [(16, 24), (19, 13), (5, 8)])
def test_falls_are_those_of_a_loop_over_windows(net, size):
    images, target = torch.rand(3, 3, *size), torch.tensor([0, 2, 1])
    explained = OcclusionMaps()(net, images, target)
    native = explained.native["occlusion"]
    side = [-(-n // 8) for n in size]
    assert native.shape[1:] == tuple(-(-n // s) for n, s in zip(size, side, strict=True))
    assert OcclusionMaps().cost(*size) == native[0].numel() + 1
    with torch.no_grad():
        plain = net(images).gather(1, target[:, None])[:, 0]
        for row in range(native.shape[1]):
            for column in range(native.shape[2]):
                covered = images.clone()
                where = (slice(row * side[0], (row + 1) * side[0]), slice(column * side[1], (column + 1) * side[1]))
                covered[:, :, where[0], where[1]] = images.mean(dim=(2, 3), keepdim=True)
                fall = plain - net(covered).gather(1, target[:, None])[:, 0]
                torch.testing.assert_close(native[:, row, column], fall, rtol=1e-5, atol=1e-6)
    grown = explained.maps["occlusion", "positive"]
    assert grown.shape == (3, *size)
    assert (grown >= 0).all()
    assert torch.equal(explained.target, target)


def test_the_predicted_class_is_explained_by_default(net):
    images = torch.rand(4, 3, 16, 16)
    explained, wanted = OcclusionMaps()(net, images), net(images).argmax(1)
    assert torch.equal(explained.target, wanted)
    assert torch.equal(explained.native["occlusion"], OcclusionMaps()(net, images, wanted).native["occlusion"])
    for target in (torch.tensor([0, 0, 0, 3]), torch.tensor([0, 0, 0, -1]), torch.zeros(4)):
        with pytest.raises(UsageError, match="TARGET"):
            OcclusionMaps()(net, images, target)


def test_saliency_alone_is_that_of_the_single_pass(net):
    images = torch.rand(2, 3, 12, 12)
    alone, both = SinglePass(None)(net, images), SinglePass("conv")(net, images)
    assert set(alone.maps) == {("saliency", "absolute")}
    assert torch.equal(alone.maps["saliency", "absolute"], both.maps["saliency", "absolute"])
    assert torch.equal(alone.logits, both.logits)


@pytest.mark.fault("B7")
def test_what_can_be_had_is_seen_on_the_model_itself(net):
    sample = torch.rand(1, 3, 16, 16)
    plain = AuditConfig()
    assert choose_explainer(net, sample, "layers", plain).access == "layers"
    detached = choose_explainer(Detached().eval(), sample, "layers", plain)
    assert (detached.access, detached.layer, detached.explainer) == ("answers", None, OcclusionMaps())
    assert choose_explainer(Answering(net, "net"), sample, "gradients", plain).explainer == SinglePass(None)
    hidden = Answering(lambda x: net(x).detach(), "net")
    assert choose_explainer(hidden, sample, "gradients", plain).access == "answers"
    for module, access in ((hidden, "gradients"), (Answering(net, "net"), "gradients"), (Detached().eval(), "layers")):
        with pytest.raises(UsageError, match=r"LAYER_NONE.*leave --layer out"):
            choose_explainer(module, sample, access, AuditConfig(layer="conv"))
