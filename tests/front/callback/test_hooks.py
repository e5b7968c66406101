"""When an audit is made, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning
from small_trainings import NAMESPACES, Noise, both, linear, loader, module_of, quiet, rows_of, trainer_of

import figureground as fg
from figureground.errors import FindingError, UnassessedError

pytestmark = quiet


@both
def test_every_second_epoch_and_never_in_the_sanity_check(namespace: Any, canned: Any, tmp_path: Path) -> None:
    callback = fg.AuditCallback(every_n_epochs=2, out=tmp_path)
    assert all(isinstance(callback, each.Callback) for each in NAMESPACES)
    trainer = trainer_of(namespace, tmp_path, callback, max_epochs=5, num_sanity_val_steps=1)
    module, data = module_of(namespace, linear()), Noise()
    trainer.fit(module, loader(data), loader(data))
    assert [out.name for _, _, out, _ in canned] == ["fit-epoch0001-step000002", "fit-epoch0003-step000004"]
    assert all(found is module and given is data for found, given, _, _ in canned)
    assert len(callback.outcomes) == 2


@both
@pytest.mark.parametrize("function", ["validate", "test"])
def test_validation_and_test_alone(namespace: Any, function: str, canned: Any, tmp_path: Path) -> None:
    callback = fg.AuditCallback(out=tmp_path)
    trainer = trainer_of(namespace, tmp_path, [callback])
    (found,) = getattr(trainer, function)(module_of(namespace, linear()), loader(Noise()), verbose=False)
    assert found["figureground/background/status"] == 0
    assert found["figureground/worst_group_accuracy"] == 0.5
    assert [out.name for _, _, out, _ in canned] == [f"{function}-epoch0000-step000000"]


def test_a_second_audit_of_the_same_epoch_has_another_folder(canned: Any, tmp_path: Path) -> None:
    callback = fg.AuditCallback(out=tmp_path)
    trainer, module = trainer_of(pytorch_lightning, tmp_path, [callback]), module_of(pytorch_lightning, linear())
    for _ in range(2):
        trainer.validate(module, loader(Noise()), verbose=False)
    assert [out.name for _, _, out, _ in canned] == ["validate-epoch0000-step000000", "validate-epoch0000-step000000-2"]


@both
def test_a_finding_stops_training_after_its_epoch(namespace: Any, canned: Any, tmp_path: Path) -> None:
    callback = fg.AuditCallback("data.csv", on_finding="stop", out=tmp_path)
    trainer = trainer_of(namespace, tmp_path, [callback], max_epochs=9)
    canned.code = 1
    trainer.fit(module_of(namespace, linear()), loader(Noise()))
    assert trainer.current_epoch == 1
    assert [data for _, data, _, _ in canned] == ["data.csv"]


@pytest.mark.parametrize(("on_finding", "code"), [("log", 1), ("stop", 3), ("stop", 0), ("fail", 0)])
def test_what_is_no_reason_to_stop(on_finding: Any, code: int, canned: Any, tmp_path: Path) -> None:
    callback = fg.AuditCallback("data.csv", on_finding=on_finding, out=tmp_path)
    canned.code = code
    trainer = trainer_of(pytorch_lightning, tmp_path, [callback], max_epochs=2)
    trainer.fit(module_of(pytorch_lightning, linear()), loader(Noise()))
    assert trainer.current_epoch == len(canned) == 2


@both
@pytest.mark.parametrize(("code", "kind"), [(1, FindingError), (3, UnassessedError)])
def test_failing_comes_after_the_numbers_are_logged(
    namespace: Any, code: int, kind: Any, canned: Any, tmp_path: Path
) -> None:
    callback = fg.AuditCallback("data.csv", on_finding="fail", out=tmp_path)
    canned.code = code
    trainer = trainer_of(namespace, tmp_path, [callback], max_epochs=3, logger=namespace.loggers.CSVLogger(tmp_path))
    with pytest.raises(kind, match="fit-epoch0000") as failed:
        trainer.fit(module_of(namespace, linear()), loader(Noise()))
    assert failed.value.exit_code == code
    assert len(canned) == 1
    (row,) = rows_of(Path(trainer.log_dir))
    assert float(row["figureground/worst_group_accuracy"]) == 0.5


@pytest.mark.parametrize("function", ["fit", "validate", "test"])
def test_failing_in_the_last_epoch_and_outside_fit(function: str, canned: Any, tmp_path: Path) -> None:
    callback = fg.AuditCallback("data.csv", on_finding="fail", out=tmp_path)
    canned.code = 1
    trainer = trainer_of(pytorch_lightning, tmp_path, [callback], max_epochs=1)
    with pytest.raises(FindingError, match="relies on background: shown by intervention"):
        getattr(trainer, function)(module_of(pytorch_lightning, linear()), loader(Noise()))
    assert "figureground/background/status" in trainer.callback_metrics
