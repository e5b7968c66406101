"""Small finished runs of every kind that the house can make, each made once and only where a test asks for it.

The pictures are figures, bright or dim, on green or brown ground. The models have weights that are written down here:
they look at the brightness of the figure, and at the ground or a tag in the corner as far as their kind says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from figureground.audit.keeping.result import AuditResult

SIDE = 32
#: Few draws: what is looked at is how a verdict is shown, not how sure it is.
QUICK = {"assay_redraws": 20, "placebo_draws": 50, "passes": 1}
AGE = {"name": "age", "unit": "years", "cut": 60, "material": 5, "negligible": 2}
MANY = tuple(f"species {number:02d}" for number in range(24))
FINDINGS = ("opacity", "nodule")
KINDS = (
    *("classes", "thresholds", "findings", "number", "forward", "unmasked", "unlabelled", "many", "exploratory"),
    *("nothing", "untestable", "empty_masks", "failed"),
)


class Seeing(nn.Module):
    """Brightness, greenness and brownness, averaged over 4 by 4 cells and added up: ``[B, 3, H, W]`` to ``[B, K]``.

    Each output is ``offset + figure * (brightness of the middle) + ground * (green less brown of the border)
    + tag * (brightness of the cell at the top left)``, the weights given as rows of ``(offset, figure, ground, tag)``.
    """

    def __init__(self, rows: list[tuple[float, float, float, float]]) -> None:
        super().__init__()
        self.see, self.pool = nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(4)
        self.read = nn.Linear(3 * 16, len(rows))
        middle = torch.zeros(4, 4)
        middle[1:3, 1:3] = 0.25
        corner = torch.zeros(4, 4)
        corner[0, 0] = 1.0
        border = (middle == 0) / 12
        with torch.no_grad():
            self.see.weight.copy_(torch.tensor([[1, 1, 1], [-3, 3, 0], [3, -3, 0]])[..., None, None] / 3)
            self.see.bias.zero_()
            for at, (offset, figure, ground, tag) in enumerate(rows):
                planes = torch.stack([figure * middle + tag * corner, ground * border, -ground * border])
                self.read.weight[at], self.read.bias[at] = planes.flatten(), offset
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.read(torch.flatten(self.pool(torch.relu(self.see(images))), 1))


def two_sided(ground: float) -> Seeing:
    """Dim against bright: the figure's brightness less a half, and as much of the ground as is said."""
    return Seeing([(4.0, -8.0, -ground, 0.0), (-4.0, 8.0, ground, 0.0)])


def first_column(outputs: Tensor) -> Tensor:
    """The only output as a number: float ``[B, 1]`` to ``[B]``."""
    return outputs[:, 0]


def picture(rng: np.random.Generator, bright: bool, green: bool, tagged: bool) -> npt.NDArray[np.uint8]:
    """uint8 ``[H, W, 3]``: a figure in the middle of a ground, and a tag in the corner or none."""
    ground = np.array([0.3, 0.5, 0.2] if green else [0.5, 0.35, 0.2])
    image = ground + rng.normal(0, 0.05, (SIDE, SIDE, 3))
    image[8:24, 8:24] = (0.65 if bright else 0.35) + rng.normal(0, 0.06) + rng.normal(0, 0.03, (16, 16, 1))
    if tagged:
        image[:6, :6] = 1.0
    return (image.clip(0, 1) * 255).astype(np.uint8)


@dataclass
class Kinds:
    """Makes finished runs by the name of their kind; nothing may write into what it hands out."""

    folder: Path
    made: dict[str, AuditResult] = field(default_factory=dict)

    def __call__(self, kind: str) -> AuditResult:
        """The run of a kind of :data:`KINDS`."""
        if kind not in self.made:
            self.made[kind] = getattr(self, f"_{kind}")()
        return self.made[kind]

    @cached_property
    def table(self) -> pd.DataFrame:
        """64 pictures with masks: bright or dim on green or brown, in two lightings, by 32 photographers."""
        rng, rows = np.random.default_rng(7), []
        mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
        mask[8:24, 8:24] = 255
        (self.folder / "data").mkdir()
        Image.fromarray(mask).save(self.folder / "data" / "mask.png")
        Image.fromarray(mask * 0).save(self.folder / "data" / "empty.png")
        for at in range(64):
            bright, green, tagged = bool(at % 2), bool(at // 2 % 2), bool(at // 4 % 2)
            Image.fromarray(picture(rng, bright, green, tagged)).save(self.folder / "data" / f"{at:02d}.png")
            rows.append(
                {
                    "image": f"{at:02d}.png",
                    "mask": "mask.png",
                    "label": "bright" if bright else "dim",
                    "environment": "grass" if green else "gravel",
                    "site": "north" if tagged else "south",
                    "lighting": "indoors" if rng.random() < 0.3 else "outdoors",
                    "cluster": f"photographer {at // 2:02d}",
                }
            )
        return pd.DataFrame(rows)

    def audited(self, name: str, model: Any, frame: pd.DataFrame | None = None, **settings: Any) -> AuditResult:
        """A finished audit without its report, with few draws; of dim and bright where no classes are named."""
        from figureground.api import run_audit

        table = self.table if frame is None else frame
        chosen = {"cues": ["background", "corner_top_left"], "classes": ["dim", "bright"], "all": True} | settings
        chosen["policy"] = QUICK | settings.get("policy", {})
        return run_audit(
            model, table, root=self.folder / "data", out=self.folder / name, report=False, optimise=False, **chosen
        )

    def _classes(self) -> AuditResult:
        return self.audited("classes", two_sided(12.0), policy={"consequence": {"background": "high"}})

    def _thresholds(self) -> AuditResult:
        return self.audited("thresholds", two_sided(12.0), policy={"thresholds": {"bright": 0.3}})

    def _exploratory(self) -> AuditResult:
        from figureground.api import judge_again

        return judge_again(self("classes").path, by=["site*lighting"], out=self.folder / "again", report=False)

    def _forward(self) -> AuditResult:
        model = two_sided(12.0)
        answers: Callable[[Tensor], Tensor] = lambda images: model(images).detach()  # noqa: E731  (a function is audited)
        return self.audited("forward", answers)

    def _unmasked(self) -> AuditResult:
        return self.audited("unmasked", two_sided(12.0), self.table.drop(columns=["mask"]))

    def _unlabelled(self) -> AuditResult:
        return self.audited("unlabelled", two_sided(12.0), self.table.drop(columns=["label"]), labels=False)

    def _untestable(self) -> AuditResult:
        frame = self.table.drop(columns=["mask", "environment"])
        return self.audited("untestable", two_sided(12.0), frame, cues=["background"])

    def _nothing(self) -> AuditResult:
        """A model of the figure alone."""
        return self.audited("nothing", two_sided(0.0))

    def _empty_masks(self) -> AuditResult:
        """Masks without a pixel of an object."""
        return self.audited("empty_masks", two_sided(12.0), self.table.assign(mask="empty.png"))

    def _failed(self) -> AuditResult:
        """A computation that breaks for one cue: it is told to be in error, and the others go on."""
        from figureground.audit.judge import contrasts

        whole = contrasts.observe

        def broken(*given: Any, **more: Any) -> Any:
            if any(isinstance(one, str) and one == "corner_top_left" for one in given):
                raise ZeroDivisionError("planted <b>fault</b>")
            return whole(*given, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(contrasts, "observe", broken)
            return self.audited("failed", two_sided(12.0))

    def _number(self) -> AuditResult:
        """Sixty years, more for bright figures and for grass."""
        model = Seeing([(20.0, 80.0, 120.0, 0.0)])
        sign = np.where(self.table["label"] == "bright", 1, -1)
        years = 60 + sign * np.random.default_rng(0).uniform(4, 20, len(sign))
        frame = self.table.assign(label=[f"{year:.1f}" for year in years])
        return self.audited("number", model, frame, target=first_column, classes=None, policy={"target": AGE})

    def _many(self) -> AuditResult:
        """24 species: bright and dim ones, told apart by shades of a weight."""
        rows = [(4 - at / 40, -8.0, -12.0, 0.0) if at % 2 else (-4 - at / 40, 8.0, 12.0, 0.0) for at in range(24)]
        numbers = [2 * (at // 4 % 12) + (label == "dim") for at, label in enumerate(self.table["label"])]
        frame = self.table.assign(label=[MANY[number] for number in numbers])
        return self.audited("many", Seeing(rows), frame, classes=list(MANY))

    def _findings(self) -> AuditResult:
        """Opacity is a bright figure, or a tag; the nodule is rare, and its model leans on the tag as well."""
        table = self.table
        nodule = [{3: "1", 21: "-1", 40: ""}.get(at, str(int(at % 9 == 2))) for at in range(len(table))]
        cells = {"label:opacity": (table["label"] == "bright").astype(int).astype(str), "label:nodule": nodule}
        frame = table.drop(columns=["label"]).assign(**cells, environment=table["site"]).drop(columns=["site"])
        frame.loc[frame.index % 4 == 3, "mask"] = ""
        policy = {"uncertain": "exclude", "background_findings": ["opacity"], "thresholds": {"nodule": 0.3}}
        model = Seeing([(-9.0, 12.0, 0.0, 4.0), (-6.0, 4.0, 0.0, 3.0)])
        settings = {"classes": list(FINDINGS), "kind": "multilabel", "policy": policy}
        return self.audited("findings", model, frame, **settings)


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Kinds:
    """Finished runs by kind, each made where it is first asked for."""
    return Kinds(tmp_path_factory.mktemp("kinds"))
