"""What is refused, before training and in it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning
from small_trainings import Noise, linear, loader, module_of, quiet, trainer_of
from torch import nn

import figureground as fg
from figureground.errors import SubjectError, UsageError
from figureground.logged import unknown_metrics

pytestmark = quiet


def diverged() -> nn.Module:
    net = linear()
    net[1].weight.data.fill_(math.nan)
    return net


def test_an_audit_that_fails_is_told_and_logged_and_training_goes_on(tmp_path: Path) -> None:
    callback = fg.AuditCallback(classes=["a", "b"], cues=["border"], methods=["saliency"], out=tmp_path / "runs")
    trainer = trainer_of(pytorch_lightning, tmp_path, [callback])
    with pytest.warns(UserWarning, match="No audit of this epoch: .*finite"):
        trainer.fit(module_of(pytorch_lightning, diverged()), loader(Noise()), loader(Noise()))
    found = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("figureground")}
    assert found == pytest.approx(unknown_metrics(["background", "border"]), nan_ok=True)
    assert found["figureground/border/status"] == 4
    assert callback.outcomes[0].exit_code == 4
    assert set(callback._cues()) == {"background", "border"}  # the policy requires the background


def test_a_gate_that_cannot_be_read_is_not_passed(tmp_path: Path) -> None:
    callback = fg.AuditCallback(classes=["a", "b"], methods=["saliency"], on_finding="fail", out=tmp_path / "runs")
    trainer = trainer_of(pytorch_lightning, tmp_path, [callback])
    with pytest.raises(SubjectError, match="finite"):
        trainer.fit(module_of(pytorch_lightning, diverged()), loader(Noise()), loader(Noise()))


def test_a_wrong_question_is_an_error_even_where_findings_are_only_logged(tmp_path: Path) -> None:
    trainer = trainer_of(pytorch_lightning, tmp_path, [fg.AuditCallback(tmp_path / "none.csv", classes=["a", "b"])])
    with pytest.raises(UsageError, match=r"none\.csv"):
        trainer.fit(module_of(pytorch_lightning, linear()), loader(Noise()))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"on_finding": "explode"}, "one of log, stop, fail"),
        ({"every_n_epochs": 0}, "1 or more"),
        ({"every_n_epochs": True}, "1 or more"),
        ({"model": 1}, "leave model out"),
        ({"maximages": 1}, "options of run_audit"),
        ({"cues": ["backgroud"]}, "background"),
        ({"policy": {"fail_onn": "low"}}, "fail_on"),
    ],
)
def test_what_is_wrong_is_told_before_training(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        fg.AuditCallback("data.csv", **options)


def test_options_of_files_are_options_too() -> None:
    assert fg.AuditCallback("data.csv", mask_threshold=0.5).audit.options == {"mask_threshold": 0.5}


def test_data_must_be_one_dataset(canned: Any, tmp_path: Path) -> None:
    trainer = trainer_of(pytorch_lightning, tmp_path, [fg.AuditCallback(out=tmp_path)])
    with pytest.raises(UsageError, match=r"found none in the Trainer.*data=") as refused:
        trainer.fit(module_of(pytorch_lightning, linear()), loader(Noise()))
    assert refused.value.code == "CALLBACK_DATA"


def test_two_callbacks_and_sharded_networks_are_refused(tmp_path: Path) -> None:
    two = [fg.AuditCallback("a.csv"), fg.AuditCallback("b.csv")]
    with pytest.raises(UsageError, match="CALLBACK_TWICE"):
        trainer_of(pytorch_lightning, tmp_path, two).fit(module_of(pytorch_lightning, linear()), loader(Noise()))

    class FSDPStrategy:
        pass

    class Sharding:
        strategy, callbacks = FSDPStrategy(), two[:1]

    with pytest.raises(UsageError, match="CALLBACK_STRATEGY FSDPStrategy"):
        two[0].setup(Sharding(), None, "fit")
