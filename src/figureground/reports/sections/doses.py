"""How effects grow with the dose, and what noise does to the answers: charts C7."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from figureground.audit.declared import plain
from figureground.reports import numbers
from figureground.reports.figures.doses import dose_chart
from figureground.reports.sections import frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, cue_name, scale_of
from figureground.reports.view import Chart

Row = dict[str, Any]
_NOISES = (plain.NOISE, plain.NOISE_TOTAL)
#: Cues whose panels stand in one chart.
_MAX_PANELS = 6


def build(context: Context) -> tuple[Chart, ...]:
    """One chart of the cues that were dosed per scale of effects, and one of noise; their tables stand beside them."""
    rows = [row for row in context.tests if row["test"] in (plain.DOSE_RESPONSE, plain.DOSE_CONTROL)]
    scales = dict.fromkeys(row["scale"] for row in rows)
    found = [_dosed(context, scale, [row for row in rows if row["scale"] == scale]) for scale in scales]
    return tuple(one for one in (*found, _noise(context)) if one is not None)


def _dosed(context: Context, scale: str | None, rows: list[Row]) -> Chart | None:
    effects = [row for row in rows if row["test"] == plain.DOSE_RESPONSE and row["estimate"] is not None]
    cues = list(dict.fromkeys(row["cue"] for row in effects))[:_MAX_PANELS]
    if not cues:
        return None
    say, known = context.words.say, scale_of(context, scale)
    lines = [line for row in rows if row["cue"] in cues for line in _line(context, row)]
    frame = pd.DataFrame([*_origins(lines), *lines])
    unit = (
        say("axis.contrast") if known.shares else say(known.key("axis.contrast"), unit=known.unit or say("column.own"))
    )
    write = None if known.shares else known.size
    draw = partial(_draw, frame, say("axis.dose"), say("axis.effect_of", unit=unit), write, None)
    alt = " ".join(filter(None, (_result(context, effects, cue) for cue in cues)))
    name = f"doses{'' if known.shares else f'-{scale}'}"
    return chart(name, say("doses.title"), draw, alt=alt, caption=say("doses.caption"), brief=_brief(context))


def _brief(context: Context) -> str:
    return context.words.say("chart.brief") if context.brief else ""


def _draw(
    frame: pd.DataFrame,
    x: str,
    y: str,
    write: Callable[[float], str] | None,
    write_x: Callable[[float], str] | None,
    width: Any,
) -> tuple[str, int]:
    return dose_chart(frame, x=x, y=y, write=write, write_x=write_x, width=width)


def _line(context: Context, row: Row) -> list[dict[str, Any]]:
    """One mark; of the noise, that on the whole picture only, which bears most of it."""
    noise = row["test"] == plain.DOSE_CONTROL
    if noise and row["part"] != plain.ON_WHOLE:
        return []
    place = context.words.term("place", row["part"])
    series = context.words.say("doses.noise_alone") if noise else place
    return [_mark(cue_name(context, row["cue"]), series, row) | {"dashed": noise}]


def _origins(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without a change there is no effect: where every line begins."""
    series = {(line["panel"], line["series"]): line for line in lines}
    nothing = {"dose": 0.0, "estimate": 0.0, "ci_low": 0.0, "ci_high": 0.0}
    return [line | nothing for line in series.values()]


def _mark(panel: str, series: str, row: Row) -> dict[str, Any]:
    values = {name: frames.number(row[name]) for name in ("dose", "estimate", "ci_low", "ci_high")}
    return {"panel": panel, "series": series, "dashed": False, **values}


def _result(context: Context, rows: list[Row], cue: str) -> str:
    """Half and full dose on the whole picture, with the interval of the latter."""
    whole = [row for row in rows if row["cue"] == cue and row["part"] == plain.ON_WHOLE]
    by = {round(float(row["dose"]), 6): row for row in whole}
    half, full = (by.get(dose) for dose in plain.DOSES)
    if half is None or full is None:
        return ""
    scale = scale_of(context, full["scale"])
    words = [scale.amount(row["estimate"]) for row in (half, full)]
    known = {"cue": cue_name(context, cue), "half": words[0], "full": words[1]}
    return context.words.say("doses.alt", span=scale.span(full["ci_low"], full["ci_high"]), **known)


def _noise(context: Context) -> Chart | None:
    """Answers as labelled under noise of growing size, on the background and on the object."""
    rows = [row for row in context.tests if row["test"] == plain.ALONE and row["arm"] in _NOISES]
    rows = [row for row in rows if row["estimate"] is not None]
    if len({row["dose"] for row in rows}) < 2:
        return None
    say = context.words.say
    lines = [
        _mark(say(f"noise.{row['arm']}"), say(f"doses.noise_on_{row['part']}"), row)
        for row in sorted(rows, key=lambda row: (_NOISES.index(row["arm"]), row["part"]))
    ]
    draw = partial(
        _draw, pd.DataFrame(lines), say("axis.noise"), say("axis.accuracy"), None, partial(numbers.fixed, digits=2)
    )
    return chart(
        "noise",
        say("noise_chart.title"),
        draw,
        alt=_noise_result(context, rows),
        caption=say("noise_chart.caption"),
        brief=_brief(context),
    )


def _noise_result(context: Context, rows: list[Row]) -> str:
    arm = rows[0]["arm"]
    largest = max(row["dose"] for row in rows if row["arm"] == arm)
    at = {row["part"]: row for row in rows if row["arm"] == arm and row["dose"] == largest}
    pair = [at.get(part) for part in (plain.ON_BACKGROUND, plain.ON_OBJECT)]
    if pair[0] is None or pair[1] is None:
        return context.words.say("noise_chart.alt_none")
    spans = [numbers.span(row["ci_low"], row["ci_high"]) for row in pair if row]
    known = {"background": pair[0]["estimate"], "object": pair[1]["estimate"]}
    return context.words.say("noise_chart.alt", background_span=spans[0], object_span=spans[1], **known)
