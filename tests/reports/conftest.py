"""A finished run as the audit would leave it, small and made of numbers that could be real."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.document.audit_json import AuditDocument
from figureground.audit.keeping import tables
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import RunFolder

N = 800
ALL = "(all)"


def estimate(value: float | None, half: float = 0.04, n: int = N, **more: Any) -> dict[str, Any]:
    """An estimate with a symmetric interval."""
    low, high = (None, None) if value is None else (value - half, value + half)
    return {
        "n": n,
        "n_clusters": n // 2,
        "estimate": value,
        "ci_low": low,
        "ci_high": high,
        "ci_level": 0.95,
        "min_detectable": None,
        "status": "ok",
        "reason": None,
        **more,
    }


def message(key: str, **args: Any) -> dict[str, Any]:
    return {"key": key, "args": args}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


class Synthetic:
    """Builds run folders; names of classes and levels can be anything."""

    def __init__(
        self, classes: tuple[str, str] = ("coat", "pullover"), levels: tuple[str, str] = ("grass", "gravel")
    ) -> None:
        self.classes, self.levels = classes, levels
        self.assets: dict[str, bytes] = {}
        self.bare = False

    @classmethod
    def without_evidence(cls) -> Synthetic:
        """A run that holds a verdict and no evidence, and renders in no time."""
        made = cls()
        made.bare = True
        return made

    def cue(self, **changes: Any) -> dict[str, Any]:
        """The demonstrated cue, with changes."""
        return {**self.document().verdict.cues[0].model_dump(mode="json"), **changes}

    def unclear_cue(self) -> dict[str, Any]:
        return self.cue(
            status="inconclusive",
            estimate=0.012,
            ci_low=-0.021,
            ci_high=0.045,
            severity="none",
            evidence_level=None,
            changed_other_level=estimate(0.071, 0.018),
            changed_same_level=estimate(0.066, 0.017),
            reasons=[message("assay_not_run"), message("imprecise", half_width=0.033, margin=0.05, n_needed=1900)],
            next_step=[message("next_more_data", n_needed=1900)],
        )

    def subgroups(self) -> pd.DataFrame:
        grass, gravel = self.levels
        groups = [
            (ALL, ALL, N),
            ("ground", grass, 402),
            ("ground", gravel, 398),
            ("lighting", "bright", 610),
            ("lighting", "dim", 176),
            ("lighting", tables.MISSING, 14),
        ]
        shift = {grass: -0.04, gravel: 0.05, "bright": 0.01, "dim": -0.03, tables.MISSING: 0.09}
        rows = []
        for attribute, level, n in groups:
            base = {"attribute": attribute, "level": level, "label": ALL, "origin": "declared", "n_rows": n}
            half, small = 1.1 / n**0.5, n < 20
            more = {"n": n, "status": "too_small" if small else "ok", "reason": None}
            move = shift.get(level, 0.0)
            for method, sign, share, floor in (
                ("saliency", "absolute", 0.61, 0.04),
                ("gradcam", "positive", 0.72, 0.31),
            ):
                key = {**base, "method": method, "sign": sign}
                rows.append({**key, "measure": "background_share", **estimate(share + move, half * 0.5, **more)})
                rows.append({**key, "measure": "background_area", **estimate(0.66 + move / 5, 0.004, **more)})
                rows.append({**key, "measure": "bleed_floor", **estimate(floor, 0.004, **more)})
                rows.append({**key, "measure": "ldr", **estimate(-0.2 + move, half, **more)})
            rows.append({**base, "measure": "accuracy", **estimate(0.71 - 2 * move, half, **more)})
            rows.append({**base, "measure": "contrast", **estimate(0.384 + move, half, **more)})
        for label, right in ((self.classes[0], (0.597, 0.884)), (self.classes[1], (0.94, 0.417))):
            for level, value in zip(self.levels, right, strict=True):
                key = {"attribute": "ground", "level": level, "label": label, "measure": "accuracy"}
                rows.append({**key, "origin": "declared", "n_rows": 200, **estimate(value, 0.066, n=200)})
        return pd.DataFrame(rows)

    def tests(self) -> pd.DataFrame:
        coat, pullover = self.classes
        grass, gravel = self.levels
        shares = {"own": (0.52, 0.48), grass: (0.33, 0.67), gravel: (0.714, 0.286)}
        base = {"cue": "background", "scale": "decision", "n_donor_clusters": 180, "simultaneous": False}
        rows = [
            {
                **base,
                "test": "predicted_share",
                "class_name": name,
                "arm": arm,
                **estimate(values[index], 0.034),
            }
            for arm, values in shares.items()
            for index, name in enumerate((coat, pullover))
        ]
        pair = {**base, "class_name": coat, "arm": gravel, "reference": grass}
        for test, value in (
            ("donor_contrast", 0.384),
            ("control", 0.01),
            ("specific", 0.35),
            ("replication_a", 0.37),
            ("replication_b", 0.4),
        ):
            rows.append({**pair, "test": test, "p_raw": 1e-9, "p_adjusted": 2e-9, **estimate(value, 0.05)})
        rows.append({**pair, "test": "donor_contrast", "class_name": pullover, **estimate(-0.384, 0.05)})
        for test, value in (
            ("reference_fragility", 0.031),
            ("changed_other_level", 0.41),
            ("changed_same_level", 0.062),
            ("same_minus_other", 0.02),
            ("performance_gap", 0.29),
        ):
            rows.append({**base, "test": test, **estimate(value, 0.02)})
        return pd.DataFrame(rows)

    def asset(self, seed: int, size: int = 64) -> str:
        """A small picture: a bright figure on a textured ground; returns its name."""
        rng = np.random.default_rng(seed)
        ground = rng.integers(40, 120, (size, size, 3)) + (np.array([0, 60, 0]) if seed % 2 else np.array([50, 45, 40]))
        ground[size // 4 : 3 * size // 4, size // 3 : 2 * size // 3] = 215
        buffer = io.BytesIO()
        Image.fromarray(ground.astype(np.uint8)).save(buffer, "webp", quality=80)
        name = hashlib.sha256(buffer.getvalue()).hexdigest()
        self.assets[name] = buffer.getvalue()
        return name

    def gallery(self) -> pd.DataFrame:
        coat, pullover = self.classes
        grass, gravel = self.levels
        rows = []
        for rule, ranks in (("swap_changed", 3), ("swap_random_unchanged", 1)):
            for rank in range(1, ranks + 1):
                key = {"row_id": 100 + rank + 10 * ranks, "rule": rule, "rank": rank, "label": pullover}
                seen = coat if rule == "swap_changed" else pullover
                for panel, level, name, p in (
                    ("original", grass, pullover, 0.94),
                    ("own_level", grass, pullover, 0.91),
                    ("other_level", gravel, seen, 0.97),
                ):
                    rows.append(
                        {
                            **key,
                            "panel": panel,
                            "caption_level": level,
                            "predicted": name,
                            "probability": p,
                            "asset": self.asset(2 * rank + 8 * ranks + (level == grass) + 20 * (panel == "own_level")),
                        }
                    )
        for rule in ("worst", "random"):
            for rank in range(1, 5):
                key = {
                    "row_id": 300 + rank + (rule == "worst") * 50,
                    "rule": rule,
                    "rank": rank,
                    "label": coat,
                    "caption_level": None,
                }
                rows.append(
                    {
                        **key,
                        "panel": "original",
                        "predicted": coat,
                        "probability": 0.88,
                        "asset": self.asset(rank),
                    }
                )
                for panel, share in (("saliency", 0.83), ("gradcam", 0.91)):
                    rows.append(
                        {
                            **key,
                            "panel": panel,
                            "background_share": share - 0.02 * rank,
                            "asset": self.asset(rank + 40, 160),
                        }
                    )
        return pd.DataFrame(rows)

    def examples(self) -> pd.DataFrame:
        index = np.arange(N + 5)
        return pd.DataFrame(
            {
                "row_id": index + 100,
                "path": [f"images/{i}.png" for i in index],
                "label": [self.classes[i % 2] for i in index],
                "cluster": [f"c{i // 2}" for i in index],
                "environment": [self.levels[i // 2 % 2] for i in index],
                "object_area": 0.34,
                "status": ["ok"] * N + ["quarantined"] * 2 + ["filtered"] * 3,
                "reason": [None] * N + ["unreadable"] * 2 + ["sampling"] * 3,
                "lighting": "bright",
            }
        )

    def predictions(self) -> pd.DataFrame:
        rows = []
        for row_id in range(100, 140):
            base = {"row_id": row_id, "dose": 1.0, "pass": 0, "status": "ok"}
            rows.append(
                {
                    **base,
                    "cue": "none",
                    "intervention": "none",
                    "arm": "own",
                    "logits": [0.0, 2.0],
                    "logsumexp": 2.1269,
                    "predicted": 1,
                }
            )
            for arm, predicted in zip(self.levels, (1, 0), strict=True):
                rows.append(
                    {
                        **base,
                        "cue": "background",
                        "intervention": "swap",
                        "arm": arm,
                        "logits": [1.0 - predicted, float(predicted)],
                        "logsumexp": 1.3133,
                        "predicted": predicted,
                        "donor_row_id": 7,
                    }
                )
        return pd.DataFrame(rows)

    def attributions(self) -> pd.DataFrame:
        rows = [
            {
                "row_id": row_id,
                "method": method,
                "sign": sign,
                "target": "predicted",
                "layer": "input",
                "mask_variant": "object",
                "background_share": 0.7,
                "background_area": 0.66,
                "bleed_floor": 0.1,
                "ldr": 0.2,
                "status": "ok",
            }
            for row_id in range(100, 140)
            for method, sign in (("saliency", "absolute"), ("gradcam", "positive"))
        ]
        return pd.DataFrame(rows)

    def document(self, **changes: Any) -> AuditDocument:
        """``audit.json`` beside this file, with this run's names in place of those that begin with @."""
        names = dict(zip(("@coat", "@pullover", "@grass", "@gravel"), (*self.classes, *self.levels), strict=True))
        fields = _renamed(json.loads((Path(__file__).parent / "audit.json").read_text()), names)
        if self.bare:
            fields["data"]["composition"], fields["performance"]["confusion"] = [], []
        return AuditDocument.model_validate({**fields, **changes})

    def write(self, path: Path, **changes: Any) -> AuditResult:
        """A sealed run folder."""
        run = RunFolder.create(path)
        run.write_json("config.json", AuditConfig(environment="ground").model_dump(mode="json"))
        run.write_json("policy.json", Policy().model_dump(mode="json"))
        for name in ("examples", "subgroups", "tests", "gallery"):
            frame = getattr(self, name)()
            empty = self.bare and name != "examples"
            run.write_table(f"{name}.parquet", frame.iloc[:0] if empty else frame, tables.SCHEMAS[name])
        for name in ("predictions", "attributions"):
            run.write_table(f"{name}/part-00000.parquet", getattr(self, name)(), tables.SCHEMAS[name])
        for name, content in self.assets.items():
            run.new_file(f"assets/{name}.webp").write_bytes(content)
        run.write_json("audit.json", self.document(**changes).model_dump(mode="json"))
        run.seal()
        return AuditResult(path)

    def unclear(self) -> dict[str, Any]:
        """The changes that make the run an inconclusive one."""
        finding = {
            "id": "F-001",
            "cue": "background",
            "status": "inconclusive",
            "message": message("cue_state", cue="background", state="inconclusive"),
        }
        return {
            "verdict": {
                "status": "inconclusive",
                "counts": {"inconclusive": 1},
                "cues": [self.unclear_cue()],
            },
            "findings": [finding],
        }


MakeRun = Callable[..., AuditResult]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run of its own: ``make_run(synthetic, **changes to the document)``."""

    def make(synthetic: Synthetic | None = None, **changes: Any) -> AuditResult:
        return (synthetic or Synthetic()).write(tmp_path / f"run{len(list(tmp_path.iterdir()))}", **changes)

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """One demonstrated run, shared: nothing may write into it."""
    return Synthetic().write(tmp_path_factory.mktemp("reports") / "run")


@pytest.fixture(scope="session")
def report(finished: AuditResult) -> str:
    """The page of the shared run."""
    from figureground.reports.html import render_html

    return render_html(finished)


@pytest.fixture(scope="session")
def synthetic() -> type[Synthetic]:
    """The builder, for tests that need odd names."""
    return Synthetic
