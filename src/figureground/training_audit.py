"""The audit of a network as it stands in the middle of training, which it must not disturb."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import nn
from torch.utils.data import DataLoader

from figureground.api import AuditResult, run_audit
from figureground.audit.declared.config import check_cues, load_policy
from figureground.audit.exits import exit_code
from figureground.errors import FiguregroundError, SubjectError, UsageError
from figureground.logged import Outcome, metrics_of, unknown_metrics

#: Arguments of ``run_audit`` that are the callback's own business.
_OWN = ("model", "data", "out", "overwrite", "resume")


@dataclass(frozen=True)
class TrainingAudit:
    """Audits a copy of a network, so that nothing of the original can change.

    The copy has no gradients, no trainer and modes of its own; the generators of random numbers are as they were
    afterwards.

    Attributes
    ----------
    options : mapping
        Arguments of :func:`figureground.run_audit`. No pictures are kept unless ``images=True``.
    network : str or callable, optional
        The part of the module that gives the logits, by its name or as a function of the module; by default all of it.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    network: str | Callable[[nn.Module], Any] | None = None

    def checked(self) -> TrainingAudit:
        """Itself, after what can be known to be wrong before the first epoch was not found.

        Raises
        ------
        UsageError
            An option is none of ``run_audit``, a cue is unknown, or the policy cannot be read.
        """
        known = set(inspect.signature(run_audit).parameters) - set(_OWN)
        unknown = next((name for name in self.options if name not in known), None)
        if unknown is not None:
            fix = f"leave {unknown} out" if unknown in _OWN else "see help(figureground.run_audit)"
            raise UsageError(
                "CALLBACK_OPTION", unknown, found="no option of a callback", expected="options of run_audit", fix=fix
            )
        check_cues(tuple(self.options.get("cues") or ()), "cues")
        load_policy(self.options.get("policy"))
        return self

    @property
    def cues(self) -> tuple[str, ...]:
        """Cues that a verdict will have at the least: those asked for, and those that the policy requires."""
        required = load_policy(self.options.get("policy")).required_cues
        return tuple(dict.fromkeys((*(self.options.get("cues") or ()), *required)))

    def __call__(self, module: nn.Module, data: Any, out: Path, cues: tuple[str, ...] = ()) -> Outcome:
        """Audit the module as it is; ``cues`` are those whose keys are logged where the audit fails."""
        # What is copied in inference mode can never have a gradient. Nothing is raised inside of `isolate_rng`, which
        # would leave the generators as they are then.
        with torch.inference_mode(False), torch.enable_grad(), isolate_rng():
            return self._outcome(module, data, out, cues)

    def _outcome(self, module: nn.Module, data: Any, out: Path, cues: tuple[str, ...]) -> Outcome:
        try:
            return _told(run_audit(self._copy(module), _rows(data), out=out, **{"images": False, **self.options}))
        except Exception as error:  # other processes wait for the outcome, whatever it is
            told = error if isinstance(error, FiguregroundError) else _sendable(error)
            return Outcome(unknown_metrics(cues), getattr(error, "exit_code", 70), str(out), error=told)

    def _copy(self, module: nn.Module) -> Any:
        chosen: Any = module
        if isinstance(self.network, str):
            chosen = _part(module, self.network)
        elif self.network is not None:
            chosen = self.network(module)
        try:
            return deepcopy(chosen)
        except Exception as error:  # anything may hang on a module
            raise _not_copied(chosen, error) from error


def _told(result: AuditResult) -> Outcome:
    document = result.document
    shown = tuple(dict.fromkeys(cue.cue for cue in document.verdict.cues if cue.status == "demonstrated"))
    code = exit_code(document, load_policy(result.path / "policy.json"))
    return Outcome(metrics_of(document), code, str(result.path), shown)


def _sendable(error: Exception) -> Exception:
    """An exception that every process can be told, whatever it holds; the first one keeps where it came from."""
    told = RuntimeError(f"{type(error).__name__}: {error}")
    told.__cause__ = error
    return told


def _rows(data: Any) -> Any:
    """What a loader draws from: an audit reads every row by itself, once and in its own order."""
    return data.dataset if isinstance(data, DataLoader) else data


def _part(module: nn.Module, name: str) -> nn.Module:
    parts: dict[str, nn.Module] = dict(module.named_modules())
    if name in parts:
        return parts[name]
    raise UsageError(
        "CALLBACK_NETWORK",
        f"network {name}",
        found="no module of that name",
        expected=f"one of {', '.join([part for part in parts if part and '.' not in part][:5])}",
        fix="name the part of your LightningModule that gives the logits",
    )


def _not_copied(module: Any, error: Exception) -> SubjectError:
    return SubjectError(
        "MODEL_COPY",
        type(module).__name__,
        found=f"{type(error).__name__}: {error}",
        expected="a module that can be copied, so that training is not disturbed",
        fix="name the network inside it with network=",
    )
