"""The callback in other processes."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small_trainings
import torch
from small_trainings import NAMESPACES, both, quiet, same

import figureground as fg

pytestmark = quiet


def test_it_survives_being_sent_to_another_process() -> None:
    callback = fg.AuditCallback("data.csv", every_n_epochs=3, cues=["border"])
    again = pickle.loads(pickle.dumps(callback))  # noqa: S301 - our own
    assert type(again) is type(callback)
    assert (again.data, again.every_n_epochs, again.audit) == ("data.csv", 3, callback.audit)
    copied = copy.deepcopy(callback)
    assert all(isinstance(copied, each.Callback) for each in NAMESPACES)


SCRIPT = """
import sys, torch, {namespace} as pl
from pathlib import Path
sys.path.insert(0, {tests!r})
import small_trainings as t
import figureground as fg
from figureground.audit.classify.networks import SmallCNN
def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    module = t.module_of(pl, SmallCNN(2, width=4))
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
def test_two_processes_audit_once_and_train_as_without(namespace: Any, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(namespace=namespace.__name__, tests=str(Path(small_trainings.__file__).parent)))
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
