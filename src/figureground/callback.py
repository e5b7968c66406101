"""The audit inside somebody's Lightning Trainer, of either namespace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_warn
from torch import nn

from figureground.callback_refusals import OnFinding, check_arguments, failure_of, own_data, several, sharded
from figureground.errors import FiguregroundError, FindingError, UsageError
from figureground.logged import Outcome, send_report
from figureground.training_audit import TrainingAudit

#: Strategies under which no process has the whole network.
_SHARDED = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy")


class AuditCallback(pl.Callback):
    """Audit a classifier while it is trained, validated or tested.

    Works in ``fit`` (after every ``every_n_epochs``-th epoch), ``validate`` and ``test``, with a Trainer of
    ``pytorch_lightning`` or of ``lightning.pytorch``. The first process audits a copy of the module and the others
    wait; weights, gradients, modes, generators and loops are left as they are. Validation inside ``fit``, the sanity
    check included, is no occasion of its own.

    Logged through the module, and so by whatever logger the Trainer has, under fixed keys:
    ``figureground/<cue>/estimate``, ``ci_low``, ``ci_high`` and ``status`` (0 not_detected, 1 not_tested,
    2 inconclusive, 3 suspected, 4 error, 5 demonstrated), and ``figureground/worst_group_accuracy``; with several
    findings ``figureground/<finding>/<cue>/...``. NaN where there is no number. Weights & Biases and MLflow also get
    the report, as long as it holds no pictures.

    Parameters
    ----------
    data : path, DataFrame, Dataset, LightningDataModule or DataLoader, optional
        What :func:`figureground.run_audit` takes, or a loader, whose dataset is then read. Default: the dataset of the
        Trainer's own loader, for validation in ``fit`` and ``validate``, for testing in ``test``.
    every_n_epochs : int
        Of ``fit``.
    on_finding : {"log", "stop", "fail"}
        What is done where the policy fails: nothing more than logging; ``fit`` ends after this epoch; or a
        ``FindingError``, once the numbers are logged, and an ``UnassessedError`` where a required cue could not be
        assessed.
    out : path, optional
        Folder that receives one run folder for each audit. Default: ``figureground`` in the Trainer's ``log_dir``.
    network : str or callable, optional
        The part of the module that gives the logits, by its name or as a function of the module; by default the module
        itself.
    **audit
        Arguments of :func:`figureground.run_audit`, such as ``classes``, ``transform``, ``cues``, ``policy``,
        ``normalized`` and ``max_images``.

    Raises
    ------
    UsageError
        An argument is wrong; in ``setup`` also where the strategy shards the network.
    FindingError, UnassessedError
        With ``on_finding="fail"``.
    FiguregroundError
        The audit itself failed, and ``on_finding`` is not ``"log"``; or what was asked of it is wrong.

    Examples
    --------
    ``Trainer(callbacks=[AuditCallback("held_out.csv", every_n_epochs=5, cues=["background"], on_finding="stop")])``
    """

    def __new__(cls, *_arguments: Any, **_options: Any) -> AuditCallback:
        """An instance that is a callback of every namespace that is in use."""
        own: Any = cls
        made: AuditCallback = super().__new__(_for_both(own) if "lightning.pytorch" in sys.modules else own)
        return made

    def __init__(
        self,
        data: Any = None,
        *,
        every_n_epochs: int = 1,
        on_finding: OnFinding = "log",
        out: str | Path | None = None,
        network: str | Callable[[nn.Module], Any] | None = None,
        **audit: Any,
    ) -> None:
        super().__init__()
        check_arguments(every_n_epochs, on_finding)
        self.data, self.out = data, None if out is None else Path(out)
        self.every_n_epochs, self.on_finding = every_n_epochs, on_finding
        self.audit = TrainingAudit(audit, network).checked()
        #: What every audit came to, in their order, in every process.
        self.outcomes: list[Outcome] = []
        self._failure: FiguregroundError | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """By the class that it was made as: the one that joins two namespaces has no name to be found by."""
        return _rebuilt, (getattr(type(self), "_own", type(self)), self.__dict__)

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Refuse what could not be audited in the first process alone, and a second callback with the same keys."""
        strategy = next((base.__name__ for base in type(trainer.strategy).__mro__ if base.__name__ in _SHARDED), None)
        if strategy is not None:
            raise sharded(strategy)
        if sum(isinstance(callback, AuditCallback) for callback in trainer.callbacks) > 1:
            raise several()

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Fail for the epoch before, whose numbers are logged by now."""
        self._fail()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Audit every ``every_n_epochs``-th epoch."""
        if (trainer.current_epoch + 1) % self.every_n_epochs:
            return
        outcome = self._audit(trainer, pl_module, "fit", trainer.val_dataloaders)
        if self.on_finding == "stop" and outcome.exit_code == FindingError.exit_code:
            trainer.should_stop = True

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Fail for the last epoch."""
        self._fail()

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Audit in ``Trainer.validate``."""
        if _runs(trainer, "validate"):
            self._audit(trainer, pl_module, "validate", trainer.val_dataloaders)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Fail in ``Trainer.validate``."""
        if _runs(trainer, "validate"):
            self._fail()

    def on_test_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Audit in ``Trainer.test``."""
        self._audit(trainer, pl_module, "test", trainer.test_dataloaders)

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """Fail in ``Trainer.test``."""
        self._fail()

    def _audit(self, trainer: Any, pl_module: Any, stage: str, loaders: Any) -> Outcome:
        folder = self._folder(trainer, stage)  # asks all processes
        data = own_data(loaders) if self.data is None else self.data
        mine = self.audit(pl_module, data, folder, self._cues()) if trainer.is_global_zero else None
        outcome: Outcome = trainer.strategy.broadcast(mine)
        self.outcomes.append(outcome)
        if outcome.error is not None:
            self._failed(outcome.error)
        pl_module.log_dict(outcome.metrics, on_step=False, on_epoch=True, sync_dist=trainer.world_size > 1)
        if trainer.is_global_zero and outcome.error is None and not self.audit.options.get("images"):
            for logger in trainer.loggers:
                send_report(logger, Path(outcome.run), f"figureground-{folder.name}")
        self._failure = failure_of(outcome) if self.on_finding == "fail" else None
        return outcome

    def _folder(self, trainer: Any, stage: str) -> Path:
        above = self.out or Path(trainer.log_dir or trainer.default_root_dir) / "figureground"
        name = f"{stage}-epoch{trainer.current_epoch:04d}-step{trainer.global_step:06d}"
        taken = [above / name, *(above / f"{name}-{count}" for count in range(2, 1000))]
        return next(path for path in taken if not path.exists())

    def _cues(self) -> tuple[str, ...]:
        """Cues whose keys are logged where an audit fails: those of the last one, else those that are known before."""
        keys = self.outcomes[-1].metrics if self.outcomes else {}
        seen = tuple(key.split("/", 1)[1].rsplit("/", 1)[0] for key in keys if key.endswith("/status"))
        return seen or self.audit.cues

    def _failed(self, error: Exception) -> None:
        """A gate that cannot be read is not passed, and a wrong question stays wrong; else training goes on."""
        if self.on_finding != "log" or isinstance(error, UsageError):
            raise error
        rank_zero_warn(f"No audit of this epoch: {error}")

    def _fail(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


@cache
def _for_both(own: Any) -> Any:
    """The class, also derived from the other namespace's base, which the Trainer there may ask for."""
    if hasattr(own, "_own"):
        return own
    other = sys.modules["lightning.pytorch"].Callback
    return type(own.__name__, (own, other), {"__module__": own.__module__, "__doc__": own.__doc__, "_own": own})


def _rebuilt(own: type[AuditCallback], state: dict[str, Any]) -> AuditCallback:
    made = own.__new__(own)
    made.__dict__.update(state)
    return made


def _runs(trainer: Any, function: str) -> bool:
    return bool(trainer.state.fn == function) and not trainer.sanity_checking
