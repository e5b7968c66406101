"""What loggers are told and sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import pytorch_lightning
from small_trainings import Noise, both, linear, loader, module_of, quiet, trainer_of

import figureground as fg
from figureground.logged import send_report

pytestmark = quiet


@both
def test_checkpoints_can_monitor_the_keys(namespace: Any, canned: Any, tmp_path: Path) -> None:
    keeping = namespace.callbacks.ModelCheckpoint(tmp_path / "kept", monitor="figureground/worst_group_accuracy")
    callbacks = [keeping, fg.AuditCallback("data.csv", out=tmp_path)]
    trainer = trainer_of(namespace, tmp_path, callbacks, enable_checkpointing=True)
    trainer.fit(module_of(namespace, linear()), loader(Noise()))
    assert float(keeping.best_model_score) == 0.5
    assert Path(keeping.best_model_path).is_file()


def test_tensorboard_has_the_keys_as_scalars(canned: Any, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = pytorch_lightning.loggers.TensorBoardLogger(tmp_path)
    trainer = trainer_of(pytorch_lightning, tmp_path, [fg.AuditCallback("data.csv")], max_epochs=2, logger=logger)
    trainer.fit(module_of(pytorch_lightning, linear()), loader(Noise()))
    events = accumulator.EventAccumulator(logger.log_dir)
    events.Reload()
    assert [event.value for event in events.Scalars("figureground/worst_group_accuracy")] == [0.5, 0.5]
    assert [event.step for event in events.Scalars("figureground/background/status")] == [0, 1]
    assert str(canned[0][2].parent) == str(Path(logger.log_dir) / "figureground")


class Tracking:
    """The one call of MLflow's client, or of a run of Weights & Biases, that is made; with their signatures."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []


class MlflowClient(Tracking):
    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        assert Path(local_path).is_file()
        self.sent.append((run_id, local_path, artifact_path))


class Run(Tracking):
    def log_artifact(
        self,
        artifact_or_path: str,
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        assert Path(artifact_or_path).is_file()
        self.sent.append((artifact_or_path, name, type))


@pytest.mark.slow
def test_the_report_that_is_sent_has_no_pictures(run: dict[str, Any], tmp_path: Path) -> None:
    keeper = MlflowClient()
    logger = type("MLFlowLogger", (), {"experiment": keeper, "run_id": "r"})()
    folder = Path(run["callback"].outcomes[0].run)
    fg.render_report(folder)
    assert send_report(logger, folder, "x")
    text = Path(keeper.sent[0][1]).read_text()
    assert "data:image/svg" in text
    # Mean maps of ten images and more are pictures of nobody, and are PNG; pictures of rows would be WebP.
    assert not any(f"data:image/{kind}" in text for kind in ("webp", "jpeg"))
    averaged = pd.read_parquet(folder / "mean_maps.parquet")
    assert text.count("data:image/png") <= len(averaged)
    assert averaged["n"].min() >= 10


@both
@pytest.mark.parametrize(("name", "client"), [("MLFlowLogger", MlflowClient), ("WandbLogger", Run)])
def test_the_report_goes_to_loggers_that_keep_files(
    namespace: Any, name: str, client: type[Tracking], canned: Any, tmp_path: Path
) -> None:
    keeper = client()
    base = namespace.loggers.CSVLogger
    members = {
        "experiment": keeper, "run_id": "run-1", "log_metrics": lambda *_a, **_k: None, "save": lambda _self: None,
        "log_hyperparams": lambda *_a, **_k: None, "finalize": lambda *_a: None,
    }  # fmt: skip
    logger = type(name, (base,), members)(tmp_path / "logs")
    callback = fg.AuditCallback("data.csv", out=tmp_path)
    report = tmp_path / "fit-epoch0000-step000001" / "report.en.html"
    trainer = trainer_of(namespace, tmp_path, [callback], logger=logger)
    trainer.fit(module_of(namespace, linear()), loader(Noise()))
    where = "figureground-fit-epoch0000-step000001"
    expected = ("run-1", str(report), where) if name == "MLFlowLogger" else (str(report), where, "report")
    assert keeper.sent == [expected]
    pictured = fg.AuditCallback("data.csv", out=tmp_path / "pictured", images=True)
    trainer_of(namespace, tmp_path, [pictured], logger=logger).fit(module_of(namespace, linear()), loader(Noise()))
    assert keeper.sent == [expected]


def test_a_report_with_pictures_and_other_loggers_stay_at_home(tmp_path: Path) -> None:
    (tmp_path / "report.en.html").write_text("<p>")
    assert not send_report(pytorch_lightning.loggers.CSVLogger(tmp_path), tmp_path, "x")
    keeper = MlflowClient()
    logger = type("MLFlowLogger", (), {"experiment": keeper, "run_id": "r"})()
    assert not send_report(logger, tmp_path / "none", "x")
    assert send_report(logger, tmp_path, "x")
    assert keeper.sent == [("r", str(tmp_path / "report.en.html"), "x")]
