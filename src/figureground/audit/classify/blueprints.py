"""Modules by name: torchvision's and timm's architectures, and classes and factories of the caller's own.

=============================  =====================================================================
``torchvision:resnet50``       a classification model of torchvision, with random weights
``timm:resnet18``              the same of timm, which is an extra
``package.module:Name``        a class or factory that can be imported, called with the arguments
``path/to/file.py:Name``       the same in a file
=============================  =====================================================================

Nothing is ever downloaded: weights come from a file.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from figureground.audit.classify.named_code import load_named, told
from figureground.audit.classify.networks import build_network
from figureground.errors import FiguregroundError, SubjectError, UsageError

TORCHVISION, TIMM = "torchvision:", "timm:"
_INSTALL_TIMM = "pip install 'figureground[timm]'"


@dataclass(frozen=True)
class Blueprint:
    """How to make a module that weights are then loaded into.

    Attributes
    ----------
    spec : str
        One of the forms of the module's table.
    arguments : mapping
        For a class or factory; of those of a library, beside the number of classes.
    """

    spec: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def described(self) -> str:
        """The name with its arguments, for the report: of a file its own name, and no path of the machine."""
        place, _, name = self.spec.rpartition(":")
        spec = f"{Path(place).name}:{name}" if place.endswith(".py") else self.spec
        told = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{spec}({told})" if told else spec

    @property
    def of_a_library(self) -> bool:
        """Whether it names an architecture of torchvision or timm, whose code is not the caller's."""
        return self.spec.startswith((TORCHVISION, TIMM))

    def build(self, outputs: int, saved: Mapping[str, Any] | None = None) -> nn.Module:
        """The module, with random weights.

        Parameters
        ----------
        outputs : int
            Number of logits; given to architectures of libraries.
        saved : mapping, optional
            Hyper-parameters of a checkpoint, for arguments that are not given.

        Raises
        ------
        UsageError
            There is no such architecture, class or factory, or it takes other arguments.
        SubjectError
            Arguments are missing that the checkpoint has not saved.
        """
        with torch.random.fork_rng(devices=[]):
            if self.spec.startswith(TORCHVISION):
                return _of_torchvision(self.spec, outputs, self.arguments)
            if self.spec.startswith(TIMM):
                return _of_timm(self.spec, outputs, self.arguments)
            return _called(self.spec, load_named(self.spec), self.arguments, saved or {})


def preset_of(spec: str) -> Any | None:
    """torchvision's preset of the preprocessing for one of its architectures; None for all others."""
    if not spec.startswith(TORCHVISION):
        return None
    weights = list(torchvision.models.get_model_weights(spec.removeprefix(TORCHVISION)))
    return weights[0].transforms() if weights else None


def _of_torchvision(spec: str, outputs: int, arguments: Mapping[str, Any]) -> nn.Module:
    name = spec.removeprefix(TORCHVISION)
    return _constructed(spec, lambda **more: build_network(name, outputs, arguments=more), arguments)


def _of_timm(spec: str, outputs: int, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise UsageError(
            "EXTRA", spec, found="timm is not installed", expected="the extra timm", fix=_INSTALL_TIMM
        ) from error
    name = spec.removeprefix(TIMM)
    if not timm.is_model(name):
        raise _unknown(spec, timm.list_models())
    made = {"pretrained": False, "num_classes": outputs, **arguments}
    return _constructed(spec, lambda **more: timm.create_model(name, **more), made)


def _called(spec: str, make: Callable[..., Any], arguments: Mapping[str, Any], saved: Mapping[str, Any]) -> nn.Module:
    """Call a class or factory with the arguments given, and with those that a checkpoint has saved for it."""
    parameters = _parameters(make)
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    kept = {name: value for name, value in saved.items() if name in parameters}
    given = {**kept, **arguments}
    missing = [name for name, p in parameters.items() if _needed(p) and name not in given]
    strangers = [name for name in arguments if name not in parameters and not takes_all]
    expected = f"its arguments: {', '.join(parameters) or 'none'}"
    if strangers:
        found = f"an argument {strangers[0]!r}"
        raise UsageError("MODEL_ARGUMENTS", spec, found=found, expected=expected, fix="correct the name")
    if missing:
        # Weights without what their class is made with are no model yet, whatever was called.
        fix = " ".join(f"--model-arg {name}=VALUE" for name in missing)
        raise SubjectError("MODEL_ARGUMENTS", spec, found=f"no {', '.join(missing)}", expected=expected, fix=fix)
    return _constructed(spec, make, given)


def _parameters(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):  # some built-in callables have none
        return {}


def _needed(parameter: inspect.Parameter) -> bool:
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in several


def _constructed(spec: str, make: Callable[..., Any], arguments: Mapping[str, Any]) -> nn.Module:
    try:
        with redirect_stdout(sys.stderr):  # stdout is the command's own
            made = make(**arguments)
    except (FiguregroundError, KeyboardInterrupt):
        raise
    except BaseException as error:  # the code of others may raise anything, and may try to leave
        raise UsageError(
            "MODEL_ARGUMENTS",
            spec,
            found=told(error),
            expected="arguments with which it can be made",
            fix="give them with --model-arg NAME=VALUE",
        ) from error
    if isinstance(made, nn.Module):
        return made
    raise UsageError(
        "MODEL_SPEC",
        spec,
        found=f"a {type(made).__name__}",
        expected="a class or factory that gives a torch.nn.Module",
        fix="name the class of the network",
    )


def _unknown(spec: str, known: list[str]) -> UsageError:
    name = spec.partition(":")[2]
    near = get_close_matches(name, known, n=3)
    return UsageError(
        "MODEL_SPEC",
        spec,
        found=f"no architecture {name!r}",
        expected=f"one of {len(known)} names",
        fix=f"did you mean {' or '.join(near)}?" if near else "see the library's list of models",
    )
