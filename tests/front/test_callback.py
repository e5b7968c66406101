"""The audit inside a Trainer: what is logged and where, what it stops, and that training does not notice it."""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch
import numpy as np
import pandas as pd
import pytest
import pytorch_lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import figureground as fg
from figureground.audit.classify.networks import SmallCNN
from figureground.datasets.planted import Planted
from figureground.errors import FindingError, SubjectError, UnassessedError, UsageError
from figureground.logged import STATUS, Outcome, send_report, unknown_metrics
from figureground.training_audit import TrainingAudit

NAMESPACES = [pytorch_lightning, lightning.pytorch]
both = pytest.mark.parametrize("namespace", NAMESPACES, ids=lambda module: module.__name__)
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*LeafSpec:FutureWarning",
    "ignore:Starting from v1.9.0:UserWarning",
    "ignore:.*number of training batches.*is smaller:UserWarning",
    "ignore:You defined a `validation_step` but have no:UserWarning",
)


class Scenes(Dataset[dict[str, Any]]):
    """Planted pictures as a Trainer's own dataset gives them: tensors, with the mask and the background beside them."""

    def __init__(self, per_label: int = 16, split: str = "test") -> None:
        planted = Planted(association=0.5, split=split, per_label=per_label)
        self.rows, self.planted = planted.manifest(), planted

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = torch.from_numpy(np.array(self.planted.render(index))).float().expand(3, -1, -1) / 255
        mask = torch.from_numpy(np.array(self.planted.mask(index))).to(torch.uint8)
        row = self.rows.iloc[index]
        label = self.classes.index(row["label"])
        return {"image": image, "label": label, "mask": mask, "environment": str(row["background"])}

    @property
    def classes(self) -> list[str]:
        return sorted(self.rows["label"].unique())


class Noise(Dataset[dict[str, Any]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": torch.full((3, 8, 8), index / 8), "label": index % 2}


def module_of(namespace: Any, net: nn.Module) -> Any:
    """A classifier with dropout, so that a generator which was moved on shows in the weights."""

    class Classifying(namespace.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net, self.drop = net, nn.Dropout(0.3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.net(self.drop(x)))

        def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
            return nn.functional.cross_entropy(self(batch["image"]), batch["label"])

        def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
            self.log("loss", nn.functional.cross_entropy(self(batch["image"]), batch["label"]), batch_size=8)

        def test_step(self, batch: dict[str, Tensor], index: int) -> None:
            self.validation_step(batch, index)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.05, momentum=0.9)

    return Classifying()


def trainer_of(namespace: Any, folder: Path, callbacks: Any = (), **options: Any) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    given = {"logger": False, "max_epochs": 1, "accelerator": "cpu", "default_root_dir": folder, "log_every_n_steps": 1}
    chosen = callbacks if isinstance(callbacks, namespace.Callback) else list(callbacks)
    return namespace.Trainer(callbacks=chosen, **{**given, **quiet, **options})


def loader(data: Any, **options: Any) -> DataLoader[Any]:
    return DataLoader(data, batch_size=8, **options)


def rows_of(log_dir: Path) -> list[dict[str, str]]:
    return [*csv.DictReader((log_dir / "metrics.csv").read_text().splitlines())]


# ---------------------------------------------------------------------------------------------------- the real thing


def trained(folder: Path, callbacks: Any, logger: Any = False) -> tuple[Any, dict[str, Any]]:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    module = module_of(pytorch_lightning, SmallCNN(2, width=4))
    trainer = trainer_of(pytorch_lightning, folder, callbacks, max_epochs=2, logger=logger)
    trainer.fit(module, loader(Scenes(8, "train"), shuffle=True), loader(Scenes()))
    left = {
        "weights": copy.deepcopy(module.state_dict()),
        "modes": [part.training for part in module.modules()],
        "random": (torch.get_rng_state(), np.random.get_state()[1], random.getstate()),
        "gradients": [None if p.grad is None else p.grad.clone() for p in module.parameters()],
        "trainer": module.trainer is trainer,
    }
    return trainer, left


class Seen(pytorch_lightning.Callback):
    """What a module is like around the audit, within the epoch."""

    def __init__(self, gradient: float | None = None) -> None:
        super().__init__()
        self.states: list[Any] = []
        self.gradient = gradient

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        for parameter in pl_module.parameters() if self.gradient is not None else ():
            parameter.grad = torch.full_like(parameter, self.gradient)  # validation has set it to None
        self.states.append(
            (
                [part.training for part in pl_module.modules()],
                [None if p.grad is None else p.grad.clone() for p in pl_module.parameters()],
                [(p.device, p.requires_grad) for p in pl_module.parameters()],
                pl_module.trainer is trainer,
                trainer.current_epoch,
                trainer.global_step,
                torch.get_rng_state(),
                torch.is_grad_enabled(),
            )
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One training with a real audit of the Trainer's own validation data, and the same without."""
    folder = tmp_path_factory.mktemp("fit")
    logger = pytorch_lightning.loggers.CSVLogger(folder)
    options = {"classes": Scenes().classes, "transform": fg.Preprocess(), "cues": ["background"]}
    callback = fg.AuditCallback(every_n_epochs=2, report=False, **options)
    before, after = Seen(0.5), Seen()
    trainer, left = trained(folder, [before, callback, after], logger)
    _, alone = trained(folder, [Seen(0.5)])
    return {"callback": callback, "trainer": trainer, "left": left, "alone": alone, "seen": (before, after)}


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    if isinstance(left, np.ndarray):
        return bool((left == right).all())
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


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


# ------------------------------------------------------------------------------------------- when, and what follows


class Calls(list[Any]):
    """Arguments of the audits that were asked for; ``code`` is what each of them comes to."""

    code = 0


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """An audit that has been done: the hooks cannot tell."""
    calls = Calls()

    def call(self: TrainingAudit, module: Any, data: Any, out: Path, cues: tuple[str, ...] = ()) -> Outcome:
        calls.append((module, data, out, cues))
        out.mkdir(parents=True)
        (out / "report.en.html").write_text("<p>")
        return outcome(out, calls.code)

    monkeypatch.setattr(TrainingAudit, "__call__", call)
    return calls


def outcome(out: Path, code: int) -> Outcome:
    metrics = {"figureground/background/status": 5.0 if code == 1 else 0.0, "figureground/worst_group_accuracy": 0.5}
    return Outcome(metrics, code, str(out), ("background",) if code == 1 else ())


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))


@both
def test_every_second_epoch_and_never_in_the_sanity_check(namespace: Any, canned: Calls, tmp_path: Path) -> None:
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
def test_validation_and_test_alone(namespace: Any, function: str, canned: Calls, tmp_path: Path) -> None:
    callback = fg.AuditCallback(out=tmp_path)
    trainer = trainer_of(namespace, tmp_path, [callback])
    (found,) = getattr(trainer, function)(module_of(namespace, linear()), loader(Noise()), verbose=False)
    assert found["figureground/background/status"] == 0
    assert found["figureground/worst_group_accuracy"] == 0.5
    assert [out.name for _, _, out, _ in canned] == [f"{function}-epoch0000-step000000"]


def test_a_second_audit_of_the_same_epoch_has_another_folder(canned: Calls, tmp_path: Path) -> None:
    callback = fg.AuditCallback(out=tmp_path)
    trainer, module = trainer_of(pytorch_lightning, tmp_path, [callback]), module_of(pytorch_lightning, linear())
    for _ in range(2):
        trainer.validate(module, loader(Noise()), verbose=False)
    assert [out.name for _, _, out, _ in canned] == ["validate-epoch0000-step000000", "validate-epoch0000-step000000-2"]


@both
def test_a_finding_stops_training_after_its_epoch(namespace: Any, canned: Calls, tmp_path: Path) -> None:
    callback = fg.AuditCallback("data.csv", on_finding="stop", out=tmp_path)
    trainer = trainer_of(namespace, tmp_path, [callback], max_epochs=9)
    canned.code = 1
    trainer.fit(module_of(namespace, linear()), loader(Noise()))
    assert trainer.current_epoch == 1
    assert [data for _, data, _, _ in canned] == ["data.csv"]


@pytest.mark.parametrize(("on_finding", "code"), [("log", 1), ("stop", 3), ("stop", 0), ("fail", 0)])
def test_what_is_no_reason_to_stop(on_finding: Any, code: int, canned: Calls, tmp_path: Path) -> None:
    callback = fg.AuditCallback("data.csv", on_finding=on_finding, out=tmp_path)
    canned.code = code
    trainer = trainer_of(pytorch_lightning, tmp_path, [callback], max_epochs=2)
    trainer.fit(module_of(pytorch_lightning, linear()), loader(Noise()))
    assert trainer.current_epoch == len(canned) == 2


@both
@pytest.mark.parametrize(("code", "kind"), [(1, FindingError), (3, UnassessedError)])
def test_failing_comes_after_the_numbers_are_logged(
    namespace: Any, code: int, kind: Any, canned: Calls, tmp_path: Path
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
def test_failing_in_the_last_epoch_and_outside_fit(function: str, canned: Calls, tmp_path: Path) -> None:
    callback = fg.AuditCallback("data.csv", on_finding="fail", out=tmp_path)
    canned.code = 1
    trainer = trainer_of(pytorch_lightning, tmp_path, [callback], max_epochs=1)
    with pytest.raises(FindingError, match="relies on background: shown by intervention"):
        getattr(trainer, function)(module_of(pytorch_lightning, linear()), loader(Noise()))
    assert "figureground/background/status" in trainer.callback_metrics


@both
def test_checkpoints_can_monitor_the_keys(namespace: Any, canned: Calls, tmp_path: Path) -> None:
    keeping = namespace.callbacks.ModelCheckpoint(tmp_path / "kept", monitor="figureground/worst_group_accuracy")
    callbacks = [keeping, fg.AuditCallback("data.csv", out=tmp_path)]
    trainer = trainer_of(namespace, tmp_path, callbacks, enable_checkpointing=True)
    trainer.fit(module_of(namespace, linear()), loader(Noise()))
    assert float(keeping.best_model_score) == 0.5
    assert Path(keeping.best_model_path).is_file()


def test_tensorboard_has_the_keys_as_scalars(canned: Calls, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = pytorch_lightning.loggers.TensorBoardLogger(tmp_path)
    trainer = trainer_of(pytorch_lightning, tmp_path, [fg.AuditCallback("data.csv")], max_epochs=2, logger=logger)
    trainer.fit(module_of(pytorch_lightning, linear()), loader(Noise()))
    events = accumulator.EventAccumulator(logger.log_dir)
    events.Reload()
    assert [event.value for event in events.Scalars("figureground/worst_group_accuracy")] == [0.5, 0.5]
    assert [event.step for event in events.Scalars("figureground/background/status")] == [0, 1]
    assert str(canned[0][2].parent) == str(Path(logger.log_dir) / "figureground")


# ------------------------------------------------------------------------------------------------------ when it fails


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


def test_data_must_be_one_dataset(canned: Calls, tmp_path: Path) -> None:
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


def test_it_survives_being_sent_to_another_process() -> None:
    callback = fg.AuditCallback("data.csv", every_n_epochs=3, cues=["border"])
    again = pickle.loads(pickle.dumps(callback))  # noqa: S301 - our own
    assert type(again) is type(callback)
    assert (again.data, again.every_n_epochs, again.audit) == ("data.csv", 3, callback.audit)
    copied = copy.deepcopy(callback)
    assert all(isinstance(copied, each.Callback) for each in NAMESPACES)


# --------------------------------------------------------------------------------------------------- parts of a module


class Locked(nn.Module):
    """What cannot be copied may hang on a module."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.socket = linear(), os.scandir(".")


def test_a_module_that_cannot_be_copied_names_the_way_out(tmp_path: Path) -> None:
    module = Locked()
    found = TrainingAudit({"classes": ["a", "b"]})(module, Noise(), tmp_path / "run", ("background",))
    assert isinstance(found.error, SubjectError)
    assert "network=" in found.error.fix
    with pytest.raises(UsageError, match="one of net"):
        raise TrainingAudit(network="nett")(module, Noise(), tmp_path / "run").error  # type: ignore[misc]
    module.socket.close()


def test_the_network_that_is_audited_is_a_copy_of_the_part_that_was_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[Any] = []

    def audited(model: Any, data: Any, **options: Any) -> Any:
        given.append((model, data, options, torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        torch.rand(3)
        raise ValueError("seen enough")

    monkeypatch.setattr("figureground.training_audit.run_audit", audited)
    module, data, state = module_of(pytorch_lightning, linear()), Noise(), torch.get_rng_state()
    for network in ("net", lambda whole: whole.net, None):
        with torch.inference_mode():
            found = TrainingAudit({"seed": 3}, network)(module, loader(data), tmp_path, ("border",))
        assert isinstance(found.error, RuntimeError)
        assert str(found.error) == "ValueError: seen enough"
        assert pickle.loads(pickle.dumps(found)).metrics["figureground/border/status"] == 4  # noqa: S301
        model, rows, options, inference, gradients = given[-1]
        assert rows is data
        assert options == {"out": tmp_path, "images": False, "seed": 3}
        assert (inference, gradients) == (False, True)
        weight = (model.net if network is None else model)[1].weight
        assert weight is not module.net[1].weight
        assert torch.equal(weight, module.net[1].weight)
        assert not weight.is_inference()
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------------------------------------------------- other loggers


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
    namespace: Any, name: str, client: type[Tracking], canned: Calls, tmp_path: Path
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


# --------------------------------------------------------------------------------------------------- several processes

SCRIPT = """
import sys, torch, {namespace} as pl
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_callback as t
import figureground as fg
def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    module = t.module_of(pl, t.SmallCNN(2, width=4))
    callbacks = []
    if sys.argv[2] == "audited":
        callbacks = [fg.AuditCallback(classes=t.Scenes().classes, transform=fg.Preprocess(), cues=["background"],
                                      out=folder / "runs", report=False)]
    logger = pl.loggers.CSVLogger(folder, name="log", version=0)
    trainer = t.trainer_of(pl, folder, callbacks, strategy="ddp", devices=2, logger=logger)
    trainer.fit(module, t.loader(t.Scenes(8, "train")), t.loader(t.Scenes(16)))
    state = dict(weights=module.state_dict(), keys=sorted(trainer.callback_metrics), rng=torch.get_rng_state(),
                 outcomes=[o.run for c in callbacks for o in c.outcomes])
    torch.save(state, folder / f"rank{{trainer.global_rank}}.pt")
if __name__ == "__main__":
    main()
"""


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


@pytest.mark.slow
@both
def test_two_processes_audit_once_and_train_as_without(namespace: Any, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(namespace=namespace.__name__, tests=str(Path(__file__).parent)))
    found = {}
    for kind in ("audited", "plain"):
        folder = tmp_path / kind
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(script), str(folder), kind],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        found[kind] = [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    for audited, plain in zip(found["audited"], found["plain"], strict=True):
        assert same(audited["weights"], plain["weights"])
        assert torch.equal(audited["rng"], plain["rng"])
        assert "figureground/background/estimate" in audited["keys"]
        assert audited["outcomes"] == found["audited"][0]["outcomes"]
    runs = [*(tmp_path / "audited" / "runs").iterdir()]
    assert [str(path) for path in runs] == found["audited"][0]["outcomes"]
    assert fg.load_run(runs[0]).document.data.given == 32
