"""Feature ablation against a loop over segments, and occlusion beside other methods."""

from __future__ import annotations

import sys

import pytest
import torch
from skimage.segmentation import slic
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.ablation import segments_of
from figureground.audit.explain.anatomy import Anatomies
from figureground.audit.explain.asked import Asked
from figureground.audit.explain.occlusion import Answers, OcclusionMaps
from figureground.audit.explain.registry import explainer_for
from figureground.audit.methods.options import MethodOptions
from figureground.errors import UsageError

TARGET = torch.tensor([0, 2, 1])
GRID = MethodOptions(cells=4)
SUPERPIXELS = MethodOptions(segments="superpixels", superpixels=9)


@pytest.fixture
def few() -> Tensor:
    """Three pictures that have places, of an odd size."""
    return F.interpolate(torch.rand(3, 3, 4, 3), (17, 13), mode="bilinear")


def segments(model: nn.Module, images: Tensor, options: MethodOptions) -> Tensor:
    return segments_of(Asked.of(model, images, Answers()(model, images), options, 0, Anatomies()))


def by_loop(model: nn.Module, images: Tensor, of: Tensor) -> Tensor:
    """Falls at every pixel, one image and one segment at a time."""
    falls = torch.zeros(images.shape[0], *images.shape[2:])
    with torch.no_grad():
        for row, image in enumerate(images):
            for number in of[row].unique():
                gone = torch.where(of[row] == number, image.mean((1, 2), keepdim=True), image)
                fall = model(image[None])[0, TARGET[row]] - model(gone[None])[0, TARGET[row]]
                falls[row][of[row] == number] = fall
    return falls


@pytest.mark.parametrize("options", [GRID, SUPERPIXELS], ids=["grid", "superpixels"])
def test_falls_are_those_of_a_loop_over_segments(ending, few, options):
    found = explainer_for(["feature_ablation"], ending, options=options)(ending, few, TARGET)
    of = segments(ending, few, options)
    reference = by_loop(ending, few, of)
    native = found.native["feature_ablation"]
    if options is GRID:
        assert native.shape == (3, 4, 4)
        side = [-(-size // 4) for size in few.shape[-2:]]
        native = native.repeat_interleave(side[0], 1).repeat_interleave(side[1], 2)[:, :17, :13]
    else:
        assert 1 < len(of.unique()) <= 12
    torch.testing.assert_close(native, reference, rtol=0, atol=1e-5)
    assert found.maps["feature_ablation", "absolute"].shape == few[:, 0].shape


def test_superpixels_are_those_of_scikit_image(ending, few):
    of = segments(ending, few, SUPERPIXELS)
    image = few[1]
    scaled = ((image - image.min()) / (image.max() - image.min())).double().permute(1, 2, 0).numpy()
    reference = torch.from_numpy(slic(scaled, n_segments=9, start_label=0))
    pairs = torch.stack([of[1].flatten(), reference.flatten()]).unique(dim=1)
    assert pairs.shape[1] == len(of[1].unique()) == len(reference.unique())


def test_without_scikit_image_the_line_that_installs_it_is_told(ending, few, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(UsageError, match=r'SUPERPIXELS.*pip install "figureground\[superpixels\]"'):
        segments(ending, few, SUPERPIXELS)


def test_occlusion_beside_other_methods_is_that_of_answers_alone(ending, few):
    alone = OcclusionMaps()(ending, few, TARGET)
    both = explainer_for(["saliency", "occlusion"], ending)(ending, few, TARGET)
    assert list(both.maps) == [("saliency", "absolute"), ("occlusion", "positive")]
    torch.testing.assert_close(both.native["occlusion"], alone.native["occlusion"], rtol=0, atol=1e-5)
    torch.testing.assert_close(
        both.maps["occlusion", "positive"], alone.maps["occlusion", "positive"], rtol=0, atol=1e-5
    )


def test_of_answers_alone_occlusion_has_the_same_settings(ending, few):
    options = MethodOptions(cells=3, baseline="zero")
    alone = explainer_for(["occlusion"], access="answers", options=options)(ending, few, TARGET)
    beside = explainer_for(["saliency", "occlusion"], options=options)(ending, few, TARGET)
    torch.testing.assert_close(alone.native["occlusion"], beside.native["occlusion"], rtol=0, atol=1e-5)
    other = explainer_for(["occlusion"], access="answers", options=MethodOptions(cells=3))(ending, few, TARGET)
    assert not torch.allclose(alone.native["occlusion"], other.native["occlusion"], atol=1e-3)


def test_occlusion_and_ablation_of_the_same_grid_are_one_measurement():
    with pytest.raises(UsageError, match="one twice"):
        explainer_for(["occlusion", "feature_ablation"])
    assert explainer_for(["occlusion", "feature_ablation"], options=SUPERPIXELS)


def test_a_grey_picture_of_one_colour(ending):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.LazyLinear(3)).eval()
    flat = torch.full((1, 1, 9, 9), 0.3)
    model(flat)
    found = explainer_for(["feature_ablation"], model, options=SUPERPIXELS)(model, flat)
    assert float(found.native["feature_ablation"].abs().max()) < 1e-5
