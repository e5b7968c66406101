"""The example of docs/lightning.md runs as it stands, and its table of states is the code's."""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from figureground.audit.document.audit_json import STATE_ORDER
from figureground.datasets.planted import Planted
from figureground.logged import STATUS

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "lightning.md").read_text()


def test_states_have_the_numbers_that_the_page_says() -> None:
    told = re.search(r"`figureground/<cue>/status` \| (.*) \|", DOCS)
    assert told is not None
    words = [part.strip().split(" ", 1) for part in told[1].split(",")]
    assert {word.replace(" ", "_"): int(number) for number, word in words} == STATUS
    assert set(STATUS) == set(STATE_ORDER)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore::UserWarning")
def test_the_example_stops_a_shortcut(shortcut_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier that leans on the background already is trained on: the first audit ends it."""
    example = re.search(r"<!-- example.*?-->\n```python\n(.*?)```\n<!-- end", DOCS, re.DOTALL)
    assert example is not None
    Planted(association=0.5, split="test", per_label=60).write(tmp_path / "held_out")
    given: dict[str, Any] = {"classifier": copy.deepcopy(shortcut_model), "loader": shortcuts(shortcut_model.classes)}
    monkeypatch.chdir(tmp_path)
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        exec(compile(example[1], "lightning.md", "exec"), given)  # noqa: S102
    assert given["trainer"].current_epoch == 2
    (outcome,) = given["audit"].outcomes
    assert outcome.exit_code == 1
    assert outcome.shown == ("background",)
    printed = ast.literal_eval(re.sub(r"tensor\((.*?)\)", r"\1", told.getvalue().splitlines()[-1]))
    assert printed["figureground/background/status"] == STATUS["demonstrated"]
    assert printed["figureground/background/ci_low"] > 0.1
    assert 0 <= printed["figureground/worst_group_accuracy"] <= 1


def shortcuts(classes: tuple[str, ...]) -> DataLoader[Any]:
    planted = Planted(association=1.0, split="train", per_label=16)
    rows = planted.manifest()
    images = torch.stack([torch.from_numpy(np.array(planted.render(i))).float() / 255 for i in range(len(rows))])
    labels = torch.tensor([classes.index(label) for label in rows["label"]])
    return DataLoader(TensorDataset(images[:, None].expand(-1, 3, -1, -1), labels), batch_size=16)
