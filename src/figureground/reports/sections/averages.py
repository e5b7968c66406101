"""Mean maps by label and subgroup: what takes the place of pictures where there are none."""

from __future__ import annotations

import io
from itertools import groupby
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.answer_names import renamed
from figureground.reports.sections import frames
from figureground.reports.sections.context import Context
from figureground.reports.view import Case, Cases, Panel, Picture, png_picture, records

#: Subgroups on the page; the rest stays in the table.
MAX_CASES = 24
#: Longer side of a map on the page, in pixels, at most.
SIDE = 192


def mean_maps(context: Context) -> Cases | None:
    """Mean maps of every subgroup; None where the run has pictures to show, or no maps."""
    rows = renamed(records(context.result.mean_maps), context.names)
    if not rows or len(context.result.gallery):
        return None
    say, order = (
        context.words.say,
        [row for row in rows if row["attribute"] == ALL] + [row for row in rows if row["attribute"] != ALL],
    )
    cases = [_case(context, list(group)) for _, group in groupby(order, key=_key)]
    rule, total = say("mean_maps.rule"), len(cases)
    if total > MAX_CASES:
        rule += " " + say("mean_maps.more", shown=MAX_CASES, total=total, file="mean_maps.parquet")
    return Cases(say("mean_maps.title"), rule, tuple(cases[:MAX_CASES]))


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["attribute"], row["level"], row["label"]


def _case(context: Context, rows: list[dict[str, Any]]) -> Case:
    say = context.words.say
    n, units = max(row["n"] for row in rows), max(row["n_clusters"] for row in rows)
    subtitle = say("mean_maps.n", n=n, units=units)
    return Case(_name(context, rows[0]), subtitle, tuple(_panel(context, row) for row in rows))


def _name(context: Context, row: dict[str, Any]) -> str:
    """The subgroup and its label."""
    parts = [frames.pair(row["attribute"], row["level"])] if row["attribute"] != ALL else []
    parts += [row["label"]] if row["label"] != ALL else []
    return ", ".join(parts) or context.words.say("subgroup.all")


def _panel(context: Context, row: dict[str, Any]) -> Panel:
    say, title = context.words.say, context.words.term("method", row["method"])
    values = np.asarray(row["values"], dtype=np.float64).reshape(row["height"], row["width"])
    line = say("mean_maps.middle", share=numbers.percent(middle(values)))
    alt = say("mean_maps.alt", method=title, n=row["n"], group=_name(context, row), line=line)
    return Panel(title, heat_picture(values), alt, (line,))


def middle(values: npt.NDArray[np.float64]) -> float:
    """Share of a map in the middle half of its height and width, which is a quarter of its area; in [0, 1]."""
    height, width = values.shape
    inner = values[height // 4 : height - height // 4, width // 4 : width - width // 4]
    total = float(values.sum())
    return float(inner.sum()) / total if total > 0 else 0.0


def heat_picture(values: npt.NDArray[np.float64]) -> Picture:
    """A map in cividis, scaled by its own maximum, enlarged by a whole factor; a PNG, whose bytes hold nothing else."""
    peak = float(values.max())
    shown = matplotlib.colormaps["cividis"](values / peak if peak > 0 else values)[..., :3]
    factor = max(1, SIDE // max(values.shape))
    pixels = np.kron((shown * 255).round().astype(np.uint8), np.ones((factor, factor, 1), dtype=np.uint8))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=False)
    return png_picture(stream.getvalue(), pixels.shape[1], pixels.shape[0])
