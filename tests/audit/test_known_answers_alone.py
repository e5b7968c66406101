"""A known shortcut, where nothing can be had of the model but its answers: it is demonstrated all the same."""

from __future__ import annotations

import warnings

import pytest
import torch

from figureground.api import run_audit
from figureground.audit.keeping.files import file_sha256

pytestmark = pytest.mark.slow
OPTIONS = {"cues": ["background"], "report": True}


def program(model, size, path):
    model, example = model.eval(), torch.zeros(1, 3, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".pt":
            torch.jit.trace(model.network, example).save(str(path))
        elif path.suffix == ".pt2":
            torch.export.save(torch.export.export(model, (example,)), path)
        else:
            torch.onnx.export(model, (example,), str(path), dynamo=True, verbose=False)
    return path


@pytest.mark.fault("A17")
@pytest.mark.parametrize(
    ("suffix", "access", "methods"),
    [
        (".pt", "gradients", {"saliency"}),
        (".pt2", "gradients", {"saliency"}),
        (".onnx", "answers", {"occlusion"}),
    ],
)
def test_a_program_gets_the_whole_causal_suite(
    shortcut_model, shortcut_run, audit_manifest, tmp_path, suffix, access, methods
):
    size = shortcut_run.document.subject.preprocessing["resize"] or (64, 64)
    file = program(shortcut_model, size, tmp_path / f"model{suffix}")
    trusted = {} if suffix == ".onnx" else {"trust_model": file_sha256(file)}
    known = {"classes": shortcut_model.classes, "transform": shortcut_model.preprocess}
    run = run_audit(file, audit_manifest, out=tmp_path / "run", **known, **trusted, **OPTIONS)
    here, there = run.verdict.cues[0], shortcut_run.verdict.cues[0]
    assert here.status == "demonstrated"
    assert here.estimate == pytest.approx(there.estimate, abs=0.02)
    subject = run.document.subject
    assert (subject.access, subject.target_layer, subject.model_sha256) == (access, None, file_sha256(file))
    assert set(run.attributions["method"]) == methods
    page = (run.path / "report.en.html").read_text(encoding="utf-8")
    assert ("known by its answers alone" in page) == (access == "answers")
    assert ("Grad-CAM was not measured" in page) == (access == "gradients")


@pytest.mark.fault("B7")
def test_a_model_without_gradients_is_audited_by_its_answers(shortcut_model, shortcut_run, audit_manifest, tmp_path):
    class Detached(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = shortcut_model

        def forward(self, x):
            with torch.no_grad():
                return self.inner(x)

    known = {"classes": shortcut_model.classes, "transform": shortcut_model.preprocess}
    run = run_audit(Detached(), audit_manifest, out=tmp_path / "run", **known, **OPTIONS)
    assert run.verdict.cues[0].status == "demonstrated"
    assert run.verdict.cues[0].estimate == shortcut_run.verdict.cues[0].estimate
    assert run.document.subject.access == "answers"
    checks = {check.check: check.status for check in run.document.trust}
    assert checks["randomised_weights_occlusion"] == "passed"  # the weights are there, and can be drawn anew
    assert "known by its answers alone" in (run.path / "report.en.html").read_text(encoding="utf-8")
