"""Audits with further attribution methods: their rows, checks, costs and pictures, and that nothing else moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from figureground.api import run_audit
from figureground.audit.classify.opaque import Answering
from figureground.audit.classify.subject import as_subject
from figureground.audit.declared.config import AuditConfig
from figureground.audit.explain.choosing import choose_explainer
from figureground.audit.explain.several import Several
from figureground.audit.method_choice import method_choice
from figureground.errors import UsageError

FURTHER = ["hirescam", "cam", "integrated_gradients", "smoothgrad", "deeplift", "lrp", "occlusion"]
SAID = {"cues": ["background"], "max_images": 40}
OPTIONS = {"steps": 4, "samples": 3, "cells": 4}


@dataclass(frozen=True)
class Brightness:
    """Looks at where a picture is bright, whatever the model is: it must fail the check on weights."""

    name: str = "brightness"

    def __call__(self, model, inputs, target):
        return inputs.mean(1)


@pytest.fixture(scope="module")
def plain_run(shortcut_model, audit_manifest, tmp_path_factory):
    return run_audit(shortcut_model, audit_manifest, out=tmp_path_factory.mktemp("plain") / "run", **SAID)


@pytest.fixture(scope="module")
def further_run(shortcut_model, audit_manifest, tmp_path_factory):
    out = tmp_path_factory.mktemp("further") / "run"
    methods = ["saliency", "gradcam", *FURTHER, Brightness()]
    return run_audit(shortcut_model, audit_manifest, out=out, methods=methods, method_options=OPTIONS, **SAID)


def of(run, *methods):
    rows = run.attributions[run.attributions["method"].isin(methods)]
    return rows.sort_values(["method", "sign", "row_id"]).reset_index(drop=True)


@pytest.mark.slow
def test_every_method_has_its_rows_and_a_layer(further_run):
    rows = further_run.attributions
    images = rows.loc[rows["method"] == "saliency", "row_id"].nunique()
    counts = rows.groupby(["method", "sign"]).size().to_dict()
    signs = {"saliency": 1, "smoothgrad": 1, "occlusion": 1, "brightness": 1}
    for method in ("saliency", "gradcam", *FURTHER, "brightness"):
        assert sum(n for (name, _), n in counts.items() if name == method) == images * signs.get(method, 2), method
    cells = rows.groupby("method")[["map_height", "map_width"]].first()
    assert cells.loc["occlusion"].tolist() == [4, 4]
    assert cells.loc["cam"].tolist() == cells.loc["gradcam"].tolist()
    ok = rows[rows["status"] == "ok"]
    assert ok.groupby("method")["background_share"].mean().between(0, 1).all()


@pytest.mark.slow
def test_further_methods_change_nothing_of_the_others(plain_run, further_run):
    mine, theirs = of(further_run, "saliency", "gradcam"), of(plain_run, "saliency", "gradcam")
    assert mine["background_share"].to_numpy() == pytest.approx(theirs["background_share"].to_numpy(), nan_ok=True)
    checks = {check.check: check for check in further_run.document.trust}
    for check in plain_run.document.trust:
        if check.check == "share_intervals":  # counts the intervals of all methods
            continue
        assert checks[check.check].status == check.status, check.check
        assert checks[check.check].n == check.n
        if check.value is not None:
            assert checks[check.check].value == pytest.approx(check.value, rel=1e-3, abs=1e-6)


@pytest.mark.slow
def test_every_method_has_its_checks_and_one_that_ignores_the_weights_fails(further_run):
    status = {check.check: check.status for check in further_run.document.trust}
    for method in (*FURTHER, "brightness"):
        for check in ("randomised_weights", "repeatability", "mask_sensitivity", "maps_not_empty"):
            assert status[f"{check}_{method}"] in ("passed", "failed")
    assert status["randomised_weights_integrated_gradients"] == "passed"
    assert status["randomised_weights_brightness"] == "failed"
    assert status["repeatability_brightness"] == "passed"
    (fact,) = [finding for finding in further_run.findings if finding.id == "maps-failed"]
    assert "brightness" in str(fact)


@pytest.mark.slow
def test_costs_are_counted_and_the_report_shows_the_methods(plain_run, further_run):
    images = further_run.attributions["row_id"].nunique()
    costs = {stage.stage: stage.forward_equivalents for stage in further_run.document.audit.cost.stages}
    # The single pass, CAM, four steps, three samples, DeepLift, LRP, the windows, and what is said of the own method.
    each = 3 + 1 + 4 * 3 + 3 * 3 + (5 + 2 * 2) + (3 + 2) + (16 + 1) + 3
    assert costs["explanations"] == pytest.approx(each * images)
    before = {stage.stage: stage.forward_equivalents for stage in plain_run.document.audit.cost.stages}
    assert costs["checks of the maps"] > before["checks of the maps"]
    page = (further_run.path / "report.en.html").read_text(encoding="utf-8")
    for title in ("Integrated Gradients", "SmoothGrad", "DeepLift", "HiResCAM", "brightness"):
        assert page.count(title) > 2, title
    panels = set(further_run.gallery["panel"])
    assert {"integrated_gradients", "brightness"} <= panels
    assert further_run.document.subject.code_executed


@pytest.mark.slow
def test_a_run_is_known_by_its_methods_and_their_settings(further_run, shortcut_model, audit_manifest):
    methods = ["saliency", "gradcam", *FURTHER, Brightness()]
    said = {"out": further_run.path, "resume": True, **SAID}
    with pytest.raises(UsageError, match=r"RESUME_DIFFERS.*method_options"):
        run_audit(shortcut_model, audit_manifest, methods=methods, method_options={**OPTIONS, "steps": 5}, **said)
    with pytest.raises(UsageError, match=r"RESUME_DIFFERS.*own_methods"):
        run_audit(shortcut_model, audit_manifest, methods=methods[:-1], method_options=OPTIONS, **said)
    again = run_audit(shortcut_model, audit_manifest, methods=methods, method_options=OPTIONS, **said)
    assert again.path == further_run.path


@pytest.mark.slow
def test_a_function_is_explained_by_superpixels(shortcut_model, audit_manifest, tmp_path):
    subject = as_subject(shortcut_model)

    def answers(images):
        with torch.no_grad():
            return subject.module(images)

    asked = {
        "classes": list(subject.classes),
        "transform": subject.preprocess,
        "methods": ["saliency", "feature_ablation"],
    }
    options = {"segments": "superpixels", "superpixels": 12}
    found = run_audit(answers, audit_manifest, out=tmp_path / "run", method_options=options, **asked, **SAID)
    rows = found.attributions
    assert set(rows["method"]) == {"feature_ablation"}
    assert np.isfinite(rows.loc[rows["status"] == "ok", "background_share"]).all()


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 3)

    def forward(self, images):
        return self.head(torch.relu(self.conv(images)).mean((2, 3)))


def settings(*methods, **options) -> AuditConfig:
    choice = method_choice(list(methods), None, None, options)
    return AuditConfig(**choice.settings)


def test_methods_are_put_in_one_order_and_hirescam_brings_gradcam():
    assert settings("hirescam", "saliency").methods == ("saliency", "gradcam", "hirescam")
    assert settings("saliency", "saliency").methods == ("saliency",)
    assert method_choice(None, None, None).settings["layer"] is None
    own = method_choice(["saliency", Brightness], None, None)
    assert list(own.settings["own_methods"]) == ["brightness"]
    with pytest.raises(UsageError, match="two of that name"):
        method_choice(["saliency", Brightness, Brightness()], None, None)


def test_methods_apart_from_the_single_pass_are_checked_on_their_own():
    net, sample = Net().eval(), torch.rand(1, 3, 16, 16)
    plain = choose_explainer(net, sample, "layers", settings("saliency", "gradcam"))
    assert plain.parts == (plain,)
    found = choose_explainer(net, sample, "layers", settings("saliency", "gradcam", "cam", "occlusion"))
    first, rest = found.parts
    assert first.explainer == plain.explainer
    assert first.layer == found.layer == plain.layer
    assert isinstance(rest.explainer, Several)
    assert rest.explainer.names == ("cam", "occlusion")
    assert rest.layer is None
    assert found.cost(16, 16) == 3 + 1 + 65
    assert not found.as_given
    assert not plain.as_given


def test_methods_that_look_at_modules_are_told_apart():
    net, sample = Net().eval(), torch.rand(1, 3, 16, 16)
    assert choose_explainer(net, sample, "layers", settings("saliency", "deeplift")).as_given
    assert choose_explainer(net, sample, "layers", settings("saliency"), [Brightness()]).as_given


def test_what_is_named_and_cannot_be_had_is_refused_at_the_door():
    net, sample = Net().eval(), torch.rand(1, 3, 16, 16)
    answering = Answering(net, "net")
    asked = settings("saliency", "gradcam", "integrated_gradients", steps=2)
    had = choose_explainer(answering, sample, "gradients", asked)
    assert had.explainer.names == ("saliency", "integrated_gradients")
    with pytest.raises(UsageError, match=r"METHOD_ACCESS.*integrated_gradients.*answers alone"):
        choose_explainer(Answering(lambda x: net(x).detach(), "net"), sample, "gradients", asked)
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 2)).eval()
    with pytest.raises(UsageError, match=r"METHOD_MODEL method cam"):
        choose_explainer(flat, sample, "layers", settings("saliency", "cam"))


def test_of_answers_alone_ablation_takes_the_place_of_occlusion():
    hidden = Answering(lambda x: Net()(x).detach(), "net")
    found = choose_explainer(
        hidden, torch.rand(1, 3, 16, 16), "answers", settings("saliency", "feature_ablation", cells=4)
    )
    assert found.explainer.names == ("feature_ablation",)
    assert found.parts[0].explainer.names == ("feature_ablation",)
    assert len(found.parts) == 1
    assert found.cost(16, 16) == 1 + 17
