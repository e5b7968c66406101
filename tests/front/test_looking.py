"""Where and by which methods a model is explained, as it is said on the command line and in Python."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
import typer
from torch import nn

from figureground.api import run_audit
from figureground.datasets.transforms import Preprocess
from figureground.errors import UsageError
from figureground.inputs import check_inputs
from figureground.options.input import as_preprocess

CLASSES = ["boot", "coat"]


class Mlp(nn.Module):
    """No convolution, so that there is nothing that Grad-CAM could read."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.layers(images))


def names(manifest) -> list[str]:
    return sorted(set(pd.read_csv(manifest)["label"]))


SMALL = Preprocess(resize=(24, 24))


@pytest.mark.fault("B11")
def test_an_mlp_is_checked_with_saliency_alone(audit_manifest):
    said = {"classes": names(audit_manifest), "transform": SMALL}
    few = pd.read_csv(audit_manifest, dtype=str).groupby("label").head(3)
    said |= {"root": audit_manifest.parent, "by": [], "cues": ["background"]}
    with pytest.raises(UsageError, match="--methods saliency"):
        check_inputs(few, Mlp(), **said)
    found = check_inputs(few, Mlp(), methods=["saliency"], **said)
    assert found.layer is None
    assert {probe.status for probe in found.probes if probe.check == "map_shape"} == {"not_run"}


@pytest.mark.slow
@pytest.mark.fault("B11")
def test_an_mlp_is_audited_with_saliency_alone(audit_manifest, tmp_path):
    found = run_audit(
        Mlp(),
        audit_manifest,
        classes=names(audit_manifest),
        transform=SMALL,
        methods=["saliency"],
        cues=["background"],
        max_images=40,
        out=tmp_path / "run",
    )
    assert set(found.attributions["method"]) == {"saliency"}
    assert found.document.subject.target_layer is None
    assert "gradcam" not in set(found.subgroups["method"].dropna())
    page = (tmp_path / "run" / "report.en.html").read_text(encoding="utf-8")
    assert "Saliency" in page


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"methods": ["gradcam"]}, "saliency, alone or with others"),
        ({"methods": ["salency"]}, "did you mean saliency"),
        ({"methods": ["saliency"], "layer": "conv"}, "no --layer"),
        ({"methods": ["saliency", "guided_backprop"]}, r"METHOD_ILLUSTRATION.*guided_backprop.*integrated_gradients"),
        ({"methods": ["saliency"], "method_options": {"stpes": 3}}, r"METHOD_OPTION.*no such setting.*steps"),
        ({"methods": ["saliency"], "method_options": {"steps": 0}}, r"METHOD_OPTION method option steps: found 0"),
        ({"methods": ["saliency", "nowhere.at_all:Mine"]}, "CODE_SPEC nowhere.at_all:Mine"),
        ({"methods": ["saliency", "math:inf"]}, "something that can be called"),
        ({"methods": ["saliency", object()]}, "METHOD_OWN"),
        ({"layout": "NWHC"}, "one of NCHW, NHWC, tokens"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(said, told, tmp_path):
    with pytest.raises(UsageError, match=told):
        run_audit(Mlp(), tmp_path / "absent.csv", classes=CLASSES, out=tmp_path / "run", **said)
    assert not (tmp_path / "run").exists()


@pytest.mark.fault("B17")
def test_gray_pictures_for_a_model_of_one_channel():
    assert as_preprocess(None, None, None, None, False, "gray") == Preprocess(mean=(0.0,), std=(1.0,))
    assert as_preprocess(None, None, "0.5", "0.2", False, "gray").channels == 1

    for wrong in ({"channels": "grey"}, {"channels": "gray", "mean": "0,0,0"}):
        with pytest.raises(typer.BadParameter):
            as_preprocess(None, None, wrong.get("mean"), None, False, wrong["channels"])
