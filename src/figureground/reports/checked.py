"""What ``figureground check`` prints."""

from __future__ import annotations

from collections.abc import Iterator

from figureground.audit.checked import Checked

#: Faulty rows that are shown one by one; all are counted.
SHOWN = 10


def check_lines(found: Checked) -> Iterator[str]:
    """Lines for people: the ledger, faults, subgroups, and what this n can and cannot show."""
    yield f"rows: {found.given} given = {found.ok} ok + {found.quarantined} set aside + {found.filtered} filtered"
    for fault in found.faults.head(SHOWN).itertuples(index=False):
        yield f"  row {fault.row}: {fault.reason}: {fault.detail}"
    if len(found.faults) > SHOWN:
        yield f"  and {len(found.faults) - SHOWN} more: {dict(found.faults['reason'].value_counts())}"
    yield f"masks: {found.masked} of {found.ok} usable rows; independent units: {found.clusters}"
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
    for probe in found.probes:
        yield f"probe {probe.check}: {probe.status}{f' ({probe.reason})' if probe.reason else ''}"
    if found.layer is not None:
        yield f"target layer for Grad-CAM: {found.layer}"


def _test_line(found: Checked) -> str:
    if found.stratum is None:
        return (
            "causal test of the background: not possible; it needs masks and two or more levels of environment or label"
        )
    levels = ", ".join(f"{level} ({n})" for level, n in found.levels.items())
    return (
        f"causal test of the background: by {found.stratum}, levels {levels}; "
        "with power 0.8 it would show an effect of about "
        f"{100 * (found.smallest_effect or 0):.0f} points or more"
    )
