"""Which model the stages run: a copy that answers alike, or the model itself, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import figureground as fg
from figureground.audit.classify.networks import build_network
from figureground.audit.classify.subject import as_subject, weights_sha256
from figureground.audit.explain.layers import CamLayer
from figureground.audit.stages.faster import faster
from figureground.datasets.planted import Planted
from figureground.datasets.transforms import Preprocess

SAMPLE = torch.rand(2, 3, 32, 32)


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    return as_subject(build_network("small-cnn", 2).eval(), classes=("coat", "pullover"), transform=Preprocess())


def test_the_copy_is_run_under_the_identity_of_the_model(subject):
    found = faster(subject, None, SAMPLE, True)
    assert found.subject.module is not subject.module
    assert replace(found.subject, module=subject.module).__dict__ == subject.__dict__
    assert found.subject.sha256 == weights_sha256(subject.module) != weights_sha256(found.subject.module)
    assert (found.what.asked, found.what.reason, found.what.folded) == (True, None, 5)
    assert {"batch_norm_folded", "channels_last"} <= {*found.what.steps}


def test_switched_off_the_model_itself_is_run(subject):
    found = faster(subject, CamLayer("features"), SAMPLE, False)
    assert found.subject is subject
    assert found.what.model_dump() == {"asked": False, "steps": [], "folded": 0, "reason": "switched off"}


def test_of_a_function_there_is_no_copy():
    answers = as_subject(lambda x: nn.functional.pad(x.mean((2, 3))[:, :2], (0, 0)), classes=("a", "b"))
    found = faster(answers, None, SAMPLE, True)
    assert found.subject is answers
    assert found.what.steps == []
    assert "layers cannot be had" in str(found.what.reason)


@pytest.mark.slow
def test_an_audit_says_the_same_with_and_without(tmp_path):
    torch.manual_seed(0)
    network = build_network("small-cnn", 2).eval()
    before = weights_sha256(network)
    data = Planted(association=0.5, split="test", per_label=30).write(tmp_path / "data")
    runs = [
        fg.run_audit(
            network,
            data,
            classes=("coat", "pullover"),
            transform=Preprocess(),
            cues=["background"],
            policy={"assay_redraws": 20, "placebo_draws": 50, "passes": 1},
            out=tmp_path / str(optimise),
            optimise=optimise,
            images=False,
        )
        for optimise in (True, False)
    ]
    assert weights_sha256(network) == before
    fast, plain = (run.document for run in runs)
    assert fast.subject.model_sha256 == plain.subject.model_sha256 == before
    assert fast.subject.optimisation.folded == 5
    assert plain.subject.optimisation.model_dump() == {
        "asked": False, "steps": [], "folded": 0, "reason": "switched off",
    }  # fmt: skip
    assert "batch normalisations folded" in (tmp_path / "True" / "report.en.html").read_text()
    assert "switched off" in (tmp_path / "False" / "report.en.html").read_text()
    keys = ["row_id", "method", "sign"]
    tables = [run.attributions.sort_values(keys).reset_index(drop=True) for run in runs]
    for name in ("background_share", "ldr", "ring_share"):
        assert (tables[0][name] - tables[1][name]).abs().max() <= 1e-3
    answers = [run.predictions.set_index(["row_id", "intervention", "arm", "pass"]).sort_index() for run in runs]
    assert (answers[0]["predicted"] == answers[1]["predicted"]).mean() >= 0.99
