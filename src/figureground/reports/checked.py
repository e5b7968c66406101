"""What ``figureground check`` prints."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from figureground.audit.checks.checked import Checked
from figureground.audit.keeping.tables import ALL
from figureground.reports import catalogue, numbers
from figureground.reports.scales import EffectScale
from figureground.reports.sections.inputs import shared_words
from figureground.visible import one_line

#: Faulty rows, and subgroups that fall short, that are shown one by one; all are counted.
SHOWN, SHORT = 10, 3


def check_lines(found: Checked) -> Iterator[str]:
    """Lines for people: the ledger, faults, subgroups, and what this n can and cannot show."""
    yield from map(one_line, _lines(found))


def _lines(found: Checked) -> Iterator[str]:
    yield f"rows: {found.given} given = {found.ok} ok + {found.quarantined} set aside + {found.filtered} filtered"
    if found.decoded < found.ok:
        yield (
            f"decoded: {found.decoded} of {found.ok} usable rows; the files of the others were looked up, and "
            "masks are counted as the table names them: --full decodes all"
        )
    yield from _listed(found.faults)
    if not found.labelled:
        yield f"labels: {catalogue.load('en').say('ledger.unlabelled')}"
    if found.overlap is not None:
        yield f"training data: {shared_words(catalogue.load('en'), found.overlap)}"
    yield f"masks: {found.masked} of {found.ok} usable rows; independent units: {found.clusters}"
    yield from _listed(found.troubles)
    for name, count in found.repeating.items():
        yield (
            f"no cluster is mapped, and {name} repeats ({count} values): if it names the independent unit, such as "
            f"the patient, map it with --column cluster={name}; otherwise images count as independent"
        )
    for group in found.grouping.groups:
        yield f"subgroups by {group.attribute}: {', '.join(group.levels)}"
    for left_out in found.grouping.not_used:
        yield f"no subgroups by {left_out.column}: {left_out.reason}"
    yield _test_line(found)
    yield from reach_lines(found.reach)
    for probe in found.probes:
        yield f"probe {probe.check}: {probe.status}{f' ({probe.reason})' if probe.reason else ''}"
    if found.layer is not None:
        yield f"target layer for Grad-CAM: {found.layer}"


def _listed(rows: pd.DataFrame) -> Iterator[str]:
    for row in rows.head(SHOWN).to_dict("records"):
        yield f"  row {row['row']}: {row['reason']}" + ("" if pd.isna(row["detail"]) else f": {row['detail']}")
    if len(rows) > SHOWN:
        yield f"  and {len(rows) - SHOWN} more: {dict(rows['reason'].value_counts())}"


def _test_line(found: Checked) -> str:
    if found.stratum is None:
        return (
            "causal test of the background: not possible; it needs masks and two or more levels of environment or label"
        )
    levels = ", ".join(f"{level} ({n})" for level, n in found.levels.items())
    return (
        f"causal test of the background: by {found.stratum}, levels {levels}; "
        f"with power 0.8 it would show an effect of about {_smallest(found)}"
    )


def _smallest(found: Checked) -> str:
    effect = found.smallest_effect or 0.0
    if found.target is None:
        return f"{100 * effect:.0f} points or more"
    written = EffectScale("native", found.target.unit).stated(effect)
    return f"{written} or more, if the number spreads as much, against what is material, as decisions do"


def reach_lines(reach: pd.DataFrame) -> Iterator[str]:
    """Which states this n can reach: a line for each cue, and one for its subgroups."""
    for cue, lines in reach.groupby("cue", sort=False):
        whole = lines[lines["attribute"] == ALL].iloc[0]
        yield f"{catalogue.load('en').term('cue', str(cue))}: {_cue_words(whole)}"
        parts = lines[lines["attribute"] != ALL]
        if len(parts):
            yield f"  {_subgroup_words(parts)}"


def _cue_words(line: pd.Series) -> str:
    if pd.notna(line["obstacle"]):
        return f"cannot be tested: {catalogue.load('en').say(line['obstacle'])}"
    units = f"{numbers.count(line['tested'])} {_units(line)}"
    if not line["demonstrable"]:
        return f"{units}: no verdict; it takes {numbers.count(line['more_to_demonstrate'])} more {_units(line)}"
    shown = f"{units}: can be demonstrated from an effect of about {_points(line['demonstrable_from'])} on"
    if line["clearable"]:
        return f"{shown}, and can be cleared"
    return f"{shown}; cannot be cleared: {_missing(line)}"


def _subgroup_words(parts: pd.DataFrame) -> str:
    short = parts[~parts["clearable"]].sort_values("more_to_clear", kind="stable")
    mute = parts[~parts["demonstrable"]]
    if short.empty:
        return f"all {len(parts)} subgroups can be cleared"
    named = "; ".join(
        f"{line['attribute']} {line['level']}: {_missing(line)}" for _, line in short.head(SHORT).iterrows()
    )
    said = f"{len(short)} of {len(parts)} subgroups cannot be cleared, the nearest being {named}"
    return said if mute.empty else f"{said}; {len(mute)} of {len(parts)} carry no verdict at all"


def _missing(line: pd.Series) -> str:
    if pd.notna(line["limited_by"]):
        return f"{line['limited_by']} of the policy would have to allow {numbers.count(line['to_clear'])} units"
    return f"needs {numbers.count(line['more_to_clear'])} more {_units(line)}"


def _units(line: pd.Series) -> str:
    return "independent units with masks" if line["needs_mask"] else "independent units"


def _points(share: float) -> str:
    return f"{100 * share:.0f} points"
