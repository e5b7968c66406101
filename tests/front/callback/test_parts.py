"""Which part of a module is audited, and that it is a copy."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning
import torch
from small_trainings import Noise, linear, loader, module_of, quiet
from torch import nn

from figureground.errors import SubjectError, UsageError
from figureground.training_audit import TrainingAudit

pytestmark = quiet


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
