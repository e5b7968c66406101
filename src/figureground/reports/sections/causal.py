"""Does it matter: what the model answers when only one cue differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.declared.plain import DOSE_TESTS, PLAIN_TESTS
from figureground.reports import numbers
from figureground.reports.figures.intervals import Words, interval_chart
from figureground.reports.figures.swap import swap_chart
from figureground.reports.scales import EffectScale
from figureground.reports.sections import frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, cue_name, more, scale_of
from figureground.reports.sections.cues import foremost
from figureground.reports.view import Chart, Table, table

_OWN = "own"
_MAX_BARS, _MAX_CONTRASTS, _MAX_TESTS = 8, 4, 18
#: From the effect to its controls.
_TEST_ORDER = (
    "donor_contrast",
    "specific",
    "control",
    "replication_a",
    "replication_b",
    "on_positives",
    "on_negatives",
    "changed_other_level",
    "changed_same_level",
    "reference_fragility",
    "same_minus_other",
    "performance_gap",
)


def swaps(context: Context) -> tuple[Chart, ...]:
    """One chart per cue: how often each class is predicted under each background."""
    rows = [row for row in context.tests if row["test"] == "predicted_share" and row["estimate"] is not None]
    rows = [row for row in rows if row["scale"] != "probability"]
    told = foremost(context)
    cues = dict.fromkeys(row["cue"] for row in rows if row["cue"] in told)
    return tuple(_swap(context, cue, [row for row in rows if row["cue"] == cue]) for cue in cues)


def tests_table(context: Context) -> Table | None:
    """The tests behind the verdict: contrasts by size, everything else first."""
    told = foremost(context)
    # Plain interventions and doses have a section of their own.
    elsewhere = ("predicted_share", *PLAIN_TESTS, *DOSE_TESTS)
    rows = [row for row in context.tests if row["test"] not in elsewhere and row["cue"] in told]
    rows = [row for row in rows if row.get("attribute") is None]  # groups are compared in a section of their own
    if not rows:
        return None
    say = context.words.say
    order = {test: index for index, test in enumerate(_TEST_ORDER)}
    rows = sorted(rows, key=lambda row: (order.get(row["test"], len(order)), -abs(row["estimate"] or 0.0)))
    # Of the many contrasts only the largest ones stand here, so that no other test falls off the end.
    largest = [row for row in rows if row["test"] == "donor_contrast"][:_MAX_CONTRASTS]
    rest = [row for row in rows if row["test"] != "donor_contrast"]
    columns = [say(f"column.{key}") for key in ("test", "what", "estimate", "interval", "ci_level", "p", "n", "units")]
    body = [_test_row(context, row) for row in [*largest, *rest][:_MAX_TESTS]]
    left_out = len(rows) - len(body)
    note = more(context, "tests.parquet")(left_out, len(rows)) if left_out else ""
    return replace(table(_caption(context), columns, body, text_columns=2, limit=_MAX_TESTS), note=note)


def _caption(context: Context) -> str:
    if context.target is None:
        return context.words.say("tests.table")
    return context.words.say("tests.table_native", unit=context.unit)


def contrast(context: Context) -> Chart | None:
    """The effect by subgroup, of the foremost cue that was followed into them."""
    followed = frames.measure_rows(context, "contrast")
    known = {row.get("cue") or BACKGROUND for row in followed if row["estimate"] is not None}
    cue = next((cue for cue in foremost(context) if cue in known), None)
    rows = [row for row in followed if (row.get("cue") or BACKGROUND) == cue]
    if cue is None:
        return None
    words = context.words
    scale = next((scale_of(context, item.scale) for item in context.cues if item.cue == cue), EffectScale(None))
    if not scale.shares:
        return _own_contrast(context, cue_name(context, cue), rows, scale)
    panel = words.say("axis.contrast_title", cue=cue)
    frame = frames.chart_frame(context, [(panel, rows)], {})
    material = context.document.policy.get("delta_material")
    limits = (0.0,) if material is None else (0.0, float(material))
    labels = Words(
        axis=words.say("axis.contrast"),
        n=words.say("column.n"),
        estimate=words.say("legend.effect"),
        hollow=words.say("legend.hollow"),
        limit=words.say("legend.zero_and_limit", limit=material),
    )
    return chart(
        "contrast",
        words.say("contrast.title", cue=cue),
        lambda width: interval_chart(frame, labels, limits=limits, width=width),
        alt=_contrast_alt(context, rows),
        caption=words.say("contrast.caption"),
        tables=[frames.estimate_table(context, words.say("contrast.table", cue=cue), rows, scale=scale)],
    )


def _own_contrast(context: Context, name: str, rows: list[frames.Row], scale: EffectScale) -> Chart:
    """The same on another scale: log odds ratios, or the unit of a number."""
    words, target = context.words, context.target
    frame = frames.chart_frame(context, [(words.say("axis.contrast_title_own", cue=name), rows)], {})
    odds = context.document.policy.get("delta_material_log_odds")
    material = odds if target is None or scale.name != "native" else target.material
    unit = scale.unit or words.say("column.own")

    def say(key: str, **more: object) -> str:
        return words.say(scale.key(key), cue=name, unit=unit, **more)

    labels = Words(
        axis=say("axis.contrast"),
        n=words.say("column.n"),
        estimate=words.say("legend.effect"),
        hollow=words.say("legend.hollow"),
        limit=words.say("legend.zero_and_own", limit=scale.stated(material)),
    )
    return chart(
        "contrast",
        say("contrast.title"),
        lambda width: interval_chart(frame, labels, limits=(0.0, float(material or 0.0)), width=width, shares=False),
        alt=say("contrast.alt_overall", mean=scale.stated(frames.overall(rows))),
        caption=say("contrast.caption"),
        tables=[frames.estimate_table(context, say("contrast.table"), rows, scale=scale)],
    )


def _swap(context: Context, cue: str, rows: list[dict[str, Any]]) -> Chart:
    say, of, unchanged = context.words.say, context.of_answers, context.words.say("arm.own")
    arms = dict.fromkeys([_OWN, *(row["arm"] for row in rows)])
    classes = _most_moved(rows)
    kind = "background" if cue == BACKGROUND else "other"
    names = {arm: unchanged if arm == _OWN else say(f"arm.level.{kind}", level=arm) for arm in arms}
    order = sorted(rows, key=lambda row: (classes.index(row["class_name"]), list(arms).index(row["arm"])))
    frame = pd.DataFrame(
        {
            "class_name": [row["class_name"] for row in order],
            "arm": [names[row["arm"]] for row in order],
            **{
                key: [float(row[key]) if row[key] is not None else float("nan") for row in order]
                for key in ("estimate", "ci_low", "ci_high")
            },
        }
    )
    shown = frame[frame["class_name"].isin(classes[:_MAX_BARS])]
    body = [
        [
            row["class_name"],
            names[row["arm"]],
            numbers.hundredths(row["estimate"]),
            numbers.span(row["ci_low"], row["ci_high"]),
            numbers.count(row["n"]),
        ]
        for row in order
    ]
    second = "background" if cue == BACKGROUND else "kind"
    columns = [say(of("column.class")), *(say(f"column.{key}") for key in (second, "share", "interval", "n"))]
    return chart(
        f"swap-{''.join(c for c in cue if c.isalnum())}",
        say(of(f"swap.title.{kind}"), cue=cue),
        lambda width: swap_chart(shown, axis=say(of("axis.predicted_share")), unchanged=unchanged, width=width),
        alt=_swap_alt(context, order, kind),
        caption=say(f"swap.caption.{kind}", cue=cue),
        tables=[table(say(of("swap.table")), columns, body, text_columns=2, note=more(context, "tests.parquet"))],
    )


def _most_moved(rows: list[dict[str, Any]]) -> list[str]:
    """Classes by how far their share moves between backgrounds, most moved first."""
    moved: dict[str, list[float]] = {}
    for row in rows:
        moved.setdefault(row["class_name"], []).append(row["estimate"])
    return sorted(moved, key=lambda name: round(min(moved[name]) - max(moved[name]), 9))


def _swap_alt(context: Context, rows: list[dict[str, Any]], kind: str) -> str:
    first = rows[0]["class_name"]
    parts = [
        context.words.say(
            "swap.alt_own" if row["arm"] == _OWN else f"swap.alt_arm.{kind}", arm=row["arm"], share=row["estimate"]
        )
        for row in rows
        if row["class_name"] == first
    ]
    return context.words.say("swap.alt", class_name=first, parts=", ".join(parts))


def _contrast_alt(context: Context, rows: list[frames.Row]) -> str:
    mean, ends = frames.overall(rows), frames.extremes(rows)
    if ends is None:
        return context.words.say("contrast.alt_overall", mean=mean)
    low, high = ends
    return context.words.say(
        "contrast.alt",
        mean=mean,
        low=frames.name(context, low),
        low_effect=low["estimate"],
        high=frames.name(context, high),
        high_effect=high["estimate"],
    )


def _test_row(context: Context, row: dict[str, Any]) -> list[str]:
    p = row["p_adjusted"] if row["p_adjusted"] is not None else row["p_raw"]
    scale = scale_of(context, row["scale"])
    write = scale.size if row["test"] in _SHARES else scale.amount
    return [
        _test_name(context, row),
        _what(context, row),
        write(row["estimate"]),
        scale.span(row["ci_low"], row["ci_high"]),
        numbers.level(row["ci_level"]),
        numbers.p_value(p),
        numbers.count(row["n"]),
        numbers.count(row["n_clusters"]),
    ]


def _test_name(context: Context, row: dict[str, Any]) -> str:
    """The test in words; one of the images of a label says of which."""
    if row["test"] in _BY_LABEL and len(context.classes) == 2:
        label = row.get("finding") or context.classes[-1]
        return context.words.say(context.of_labels(f"test.{row['test']}_of"), label=label)
    return context.words.term("test", row["test"])


_BY_LABEL = ("on_positives", "on_negatives")
#: Tests whose estimate is a share, not a difference.
_SHARES = ("reference_fragility", "changed_other_level", "changed_same_level")


def _what(context: Context, row: dict[str, Any]) -> str:
    say = context.words.say
    parts = []
    if row["cue"] != foremost(context)[0]:
        parts.append(cue_name(context, row["cue"]))
    if row.get("held"):
        parts.append(cue_name(context, row["held"]))
    if row.get("part"):
        parts.append(str(row["part"]))
    if row["class_name"]:
        parts.append(str(row["class_name"]))
    if row["arm"] and row["reference"]:
        parts.append(say("tests.against", arm=row["arm"], reference=row["reference"]))
    elif row["arm"]:
        parts.append(str(row["arm"]))
    if row["scale"] not in (None, "decision"):
        parts.append(context.words.term("scale", row["scale"]))
    if row["status"] != "ok":
        parts.append(frames.status(context, row))
    return context.words.clauses(parts) or numbers.NONE
