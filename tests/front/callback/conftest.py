"""One training with a real audit in it, and audits that have been done."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning
import torch
from small_trainings import Scenes, loader, module_of, trainer_of

import figureground as fg
from figureground.audit.classify.networks import SmallCNN
from figureground.logged import Outcome
from figureground.training_audit import TrainingAudit


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


@pytest.fixture(scope="session")
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
