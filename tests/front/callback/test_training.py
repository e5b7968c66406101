"""A real audit inside a training: what is logged, and that training does not notice it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from small_trainings import Scenes, both, loader, module_of, quiet, rows_of, same, trainer_of

import figureground as fg
from figureground.audit.classify.networks import SmallCNN
from figureground.logged import STATUS

pytestmark = quiet


def test_weights_are_those_of_a_training_without_it_to_the_bit(run: dict[str, Any]) -> None:
    assert same(run["left"], run["alone"])
    assert run["left"]["trainer"]


def test_nothing_of_the_module_changes_around_the_audit(run: dict[str, Any]) -> None:
    before, after = run["seen"]
    assert len(before.states) == len(after.states) == 2
    assert same(before.states, after.states)
    assert all(float(gradient.max()) == 0.5 for gradient in after.states[-1][1])


def test_the_fixed_keys_are_in_the_users_own_log(run: dict[str, Any]) -> None:
    rows = [row for row in rows_of(Path(run["trainer"].log_dir)) if row["figureground/background/status"]]
    assert len(rows) == 1
    assert rows[0]["epoch"] == "1"
    (outcome,) = run["callback"].outcomes
    found = fg.load_run(outcome.run)
    (cue,) = found.verdict.cues
    told = {"estimate": cue.estimate, "ci_low": cue.ci_low, "ci_high": cue.ci_high, "status": STATUS[cue.status]}
    expected = {f"figureground/background/{name}": value for name, value in told.items()}
    worst = found.document.performance.worst_group
    expected["figureground/worst_group_accuracy"] = None if worst is None else worst.accuracy.estimate
    for key, value in expected.items():
        wanted = math.nan if value is None else value
        assert float(rows[0][key]) == pytest.approx(wanted, abs=1e-6, nan_ok=True)
        assert float(run["trainer"].callback_metrics[key]) == pytest.approx(wanted, abs=1e-6, nan_ok=True)


def test_the_run_is_a_folder_of_its_own_without_pictures(run: dict[str, Any]) -> None:
    (outcome,) = run["callback"].outcomes
    folder = Path(outcome.run)
    assert folder == Path(run["trainer"].log_dir) / "figureground" / "fit-epoch0001-step000004"
    assert fg.load_run(folder).document.data.given == len(Scenes())
    assert not [*folder.rglob("*.webp")]
    assert not folder.joinpath("report.en.html").exists()
    assert json.loads((folder / "config.json").read_text())["images"] is False


@pytest.mark.slow
@both
@pytest.mark.parametrize("function", ["validate", "test"])
def test_a_real_audit_in_inference_mode(namespace: Any, function: str, tmp_path: Path) -> None:
    options = {"classes": Scenes().classes, "transform": fg.Preprocess(), "cues": ["border"], "report": False}
    callback = fg.AuditCallback(out=tmp_path, network="net", **options)
    module = module_of(namespace, SmallCNN(2, width=4)).train()
    (found,) = getattr(trainer_of(namespace, tmp_path, [callback]), function)(module, loader(Scenes()), verbose=False)
    states = {cue.cue: cue.status for cue in fg.load_run(callback.outcomes[0].run).verdict.cues}
    assert set(states) == {"background", "border"}  # the policy requires the one, and the other was asked for
    assert {cue: found[f"figureground/{cue}/status"] for cue in states} == {cue: STATUS[states[cue]] for cue in states}
    assert fg.load_run(callback.outcomes[0].run).document.subject.target_layer == "features"
    assert module.training
    assert all(part.training for part in module.modules())
