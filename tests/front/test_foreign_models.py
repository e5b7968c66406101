"""Models of others from the shell: the same audit as of the module itself, and refusals that say what to give."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from figureground.api import run_audit
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import read_table
from figureground.cli import app
from figureground.errors import UsageError

CUE = ["--cue", "background", "--no-images", "--max-images", "60"]


@pytest.fixture(scope="module")
def weights(shortcut_model, tmp_path_factory):
    """The network of the shortcut model as bare weights with a wrapper's prefix, and the class that it is of."""
    folder = tmp_path_factory.mktemp("foreign")
    state = {f"module.{name}": value for name, value in shortcut_model.network.state_dict().items()}
    torch.save({"epoch": 4, "state_dict": state}, folder / "best.pth")
    (folder / "nets.py").write_text(
        "from figureground.audit.classify.networks import SmallCNN\n\n\n"
        "class Net(SmallCNN):\n    def __init__(self, outputs):\n        super().__init__(outputs)\n"
    )
    return folder


def arguments(weights, data, out, shortcut_model):
    preprocess = shortcut_model.preprocess
    numbers = {name: ",".join(map(str, getattr(preprocess, name))) for name in ("mean", "std")}
    return [
        *("audit", str(weights / "best.pth"), str(data), "-o", str(out), "--model-class", f"{weights / 'nets.py'}:Net"),
        *("--model-arg", "outputs=2", "--classes", ",".join(shortcut_model.classes)),
        *("--mean", numbers["mean"], "--std", numbers["std"], *CUE),
    ]


@pytest.mark.slow
def test_bare_weights_give_the_tables_of_the_module(weights, shortcut_model, audit_manifest, tmp_path):
    found = CliRunner().invoke(app, arguments(weights, audit_manifest, tmp_path / "shell", shortcut_model))
    assert found.exit_code == 1, found.output
    run = AuditResult(tmp_path / "shell")
    own = run_audit(
        shortcut_model.network,
        audit_manifest,
        classes=shortcut_model.classes,
        transform=shortcut_model.preprocess,
        cues=["background"],
        max_images=60,
        images=False,
        report=False,
        out=tmp_path / "python",
    )
    for name in ("predictions", "attributions", "tests"):
        pd.testing.assert_frame_equal(read_table(run.path, name), read_table(own.path, name))
    subject = run.document.subject
    assert (subject.prefix_removed, subject.code_executed) == ("module.", True)
    assert subject.model_sha256 == own.document.subject.model_sha256
    page = (run.path / "report.en.html").read_text(encoding="utf-8")
    assert "nets.py:Net(outputs=2)" in page
    assert "was taken off the name of every weight" in page
    assert str(weights) not in page


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"--model-arg": "outputs=5"}, 4, "head.weight is [2, 32] in place of [5, 32]"),
        ({"--model-arg": "outputs"}, 2, "NAME=VALUE"),
        ({"--model-class": None}, 4, "--model-class"),
        ({"--mean": "a,b"}, 2, "numbers, separated by commas"),
        ({"--expect-sha256": "0" * 64}, 6, "another file"),
        ({"--kind": "ordinal"}, 2, "KIND"),
    ],
)
def test_refusals_say_what_to_give(
    weights, shortcut_model, audit_manifest, tmp_path, change, code, told, capsys, monkeypatch
):
    from figureground import __main__ as entry

    words = arguments(weights, audit_manifest, tmp_path / "run", shortcut_model)
    for option, value in change.items():
        if option in words:
            at = words.index(option)
            words[at : at + 2] = [] if value is None else [option, value]
        else:
            words += [option, value]
    monkeypatch.setattr("sys.argv", ["figureground", *words])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == code
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert told in said
    assert not (tmp_path / "run").exists()


def test_what_was_said_of_a_file_is_never_ignored_for_a_model_in_memory(shortcut_model, audit_manifest):
    policy = {"target": {"name": "age", "cut": 0, "material": 2, "negligible": 1}}
    for more in ({}, {"target": lambda z: z[:, 1], "policy": policy}):
        with pytest.raises(UsageError, match="beside a model in memory"):
            run_audit(shortcut_model, audit_manifest, weights="w.pt", **more)
