"""What was given: composition, the ledger of rows, columns that made no subgroups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from figureground.audit.document.audit_json import Cell, Estimate, MaskCoverage
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.figures.matrices import Matrix, matrix_chart
from figureground.reports.sections import association, frames, inputs, population
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, for_finding, more
from figureground.reports.view import Chart, Table, table

_MAX_LABELS, _MAX_LEVELS, _MAX_ATTRIBUTES = 12, 12, 3


@dataclass(frozen=True)
class DataSection:
    """The data behind every number."""

    chart: Chart | None
    ledger: Table
    ledger_sentence: str
    not_used: Table | None
    sample: str
    strata: Table | None
    masks: Table | None
    masks_sentence: str
    findings: Table | None
    troubles: Table | None
    files: Table | None
    files_sentence: str
    population: population.Population | None


def build(context: Context) -> DataSection:
    """Composition, ledger and unused columns."""
    return DataSection(
        chart=composition(context),
        ledger=_ledger(context),
        ledger_sentence=_ledger_sentence(context),
        not_used=_not_used(context),
        masks=_masks(context),
        masks_sentence=context.words.say("masks.lead"),
        sample=_sample(context),
        strata=_strata(context),
        findings=_findings(context),
        troubles=_troubles(context),
        files=_files(context),
        files_sentence=_files_sentence(context),
        population=population.build(context),
    )


def composition(context: Context) -> Chart | None:
    """Counts of label by level, the strata first."""
    cells = context.document.data.composition
    attributes = sorted(dict.fromkeys(c.attribute for c in cells), key=lambda name: not context.is_environment(name))
    if not attributes:
        return None
    say = context.words.say
    matrices = [_matrix(name, [c for c in cells if c.attribute == name]) for name in attributes[:_MAX_ATTRIBUTES]]
    drawn = [_cut(matrix) for matrix in matrices]
    return chart(
        "composition",
        say("composition.title"),
        lambda width: matrix_chart(drawn, row_axis=say("column.label"), column_axis=say("column.level"), width=width),
        alt=" ".join(_told(context, matrix) for matrix in matrices),
        caption=" ".join(filter(None, (say("composition.caption"), _others(context, attributes)))),
        tables=[*(_table(context, matrix) for matrix in matrices), *filter(None, [association.build(context)])],
    )


def _others(context: Context, attributes: list[str]) -> str:
    shown, total = len(attributes[:_MAX_ATTRIBUTES]), len(attributes)
    return context.words.say("composition.more", shown=shown, total=total, file="audit.json") if total > shown else ""


def _matrix(attribute: str, cells: list[Cell]) -> Matrix:
    labels = tuple(dict.fromkeys(cell.label for cell in cells))
    levels = tuple(dict.fromkeys(cell.level for cell in cells))
    counts = np.zeros((len(labels), len(levels)), dtype=np.int64)
    for cell in cells:
        counts[labels.index(cell.label), levels.index(cell.level)] += cell.n
    return Matrix(attribute, counts, labels, levels)


def _cut(matrix: Matrix) -> Matrix:
    return Matrix(
        matrix.title,
        matrix.counts[:_MAX_LABELS, :_MAX_LEVELS],
        matrix.rows[:_MAX_LABELS],
        matrix.columns[:_MAX_LEVELS],
    )


def _told(context: Context, matrix: Matrix) -> str:
    """The extremes of a table, and how far label and attribute go together."""
    return " ".join(filter(None, [_alt(context, matrix), association.sentence(context, matrix.title)]))


def _alt(context: Context, matrix: Matrix) -> str:
    if matrix.counts.min() == matrix.counts.max():
        return context.words.say("composition.even", attribute=matrix.title, n=int(matrix.counts.min()))
    low, high = int(np.argmin(matrix.counts)), int(np.argmax(matrix.counts))
    (a, b), (c, d) = np.unravel_index(low, matrix.counts.shape), np.unravel_index(high, matrix.counts.shape)
    return context.words.say(
        "composition.alt",
        attribute=matrix.title,
        low=int(matrix.counts[a, b]),
        low_label=matrix.rows[a],
        low_level=matrix.columns[b],
        high=int(matrix.counts[c, d]),
        high_label=matrix.rows[c],
        high_level=matrix.columns[d],
    )


def _table(context: Context, matrix: Matrix) -> Table:
    say = context.words.say
    rows = [
        [label, *(numbers.count(int(n)) for n in counts), numbers.count(int(counts.sum()))]
        for label, counts in zip(matrix.rows, matrix.counts, strict=True)
    ]
    columns = [say("column.label"), *matrix.columns, say("column.total")]
    caption = say("composition.table", attribute=matrix.title)
    return table(caption, columns, rows, note=more(context, "examples.parquet"))


def _ledger(context: Context) -> Table:
    data, say = context.document.data, context.words.say
    rows = [
        [say("ledger.given"), "", numbers.count(data.given)],
        [say("ledger.ok"), "", numbers.count(data.ok)],
    ]
    for key, total, reasons in (
        ("quarantined", data.quarantined, data.quarantined_by_reason),
        ("filtered", data.filtered, data.filtered_by_reason),
    ):
        rows.append([say(f"ledger.{key}"), "", numbers.count(total)])
        rows += [["", context.words.term("reason", reason), numbers.count(n)] for reason, n in sorted(reasons.items())]
    columns = [say("column.rows"), say("column.reason"), say("column.n")]
    return table(say("ledger.table"), columns, rows, text_columns=2, note=more(context, "audit.json"), limit=20)


def _ledger_sentence(context: Context) -> str:
    told = (inputs.reading, inputs.unlabelled, inputs.absent, inputs.joined, inputs.overlap)
    return " ".join(filter(None, [_counts(context), *(tell(context) for tell in told)]))


def _counts(context: Context) -> str:
    data = context.document.data
    return context.words.say(
        "ledger.sentence",
        given=data.given,
        ok=data.ok,
        quarantined=data.quarantined,
        filtered=data.filtered,
        masks=data.with_mask,
        units=data.n_clusters,
    )


def _sample(context: Context) -> str:
    """How the rows were chosen, why so many, and what each stands for: two sentences."""
    sample, say = context.document.data.sample, context.words.say
    if sample is None:
        return ""
    values = sample.model_dump(exclude={"strata", "rule"}) | {"strata": len(sample.strata)}
    policy = context.document.policy
    values |= {"margin": policy["delta_negligible"], "effect": policy["delta_material"], "power": policy["power"]}
    weighed = "sample.weights" if sample.weight_low < sample.weight_high else "sample.same_weight"
    planned = [say("sample.number")] if context.target is not None else []
    missed = [say("sample.not_reached", n=sample.clusters_not_reached)] if sample.clusters_not_reached else []
    return " ".join([say(f"sample.{sample.rule}", **values), say(weighed, **values), *planned, *missed])


def _strata(context: Context) -> Table | None:
    """Given and drawn by stratum; nothing where all were used."""
    sample, say = context.document.data.sample, context.words.say
    if sample is None or sample.clusters_drawn == sample.clusters:
        return None
    rows = [
        [
            line.label,
            line.environment,
            say("word.yes" if line.masked else "word.no"),
            numbers.count(line.clusters),
            numbers.count(line.drawn),
            numbers.general(line.weight),
        ]
        for line in sample.strata
    ]
    names = ["label", "environment", "mask", "units_given", "units_drawn", "weight"]
    columns = [say(f"column.{name}") for name in names]
    return table(say("sample.table"), columns, rows, text_columns=3, note=more(context, "audit.json"), limit=20)


def _not_used(context: Context) -> Table | None:
    columns = context.document.data.not_used
    if not columns:
        return None
    rows = [[item.column, context.words.term("reason", item.reason)] for item in columns]
    say = context.words.say
    names = [say("column.column"), say("column.reason")]
    return table(say("not_used.table"), names, rows, text_columns=2, note=more(context, "audit.json"))


def _masks(context: Context) -> Table | None:
    """Rows with and without a mask, by label and level, with how well the model does on both."""
    lines = context.document.data.mask_coverage
    if not lines:
        return None
    say = context.words.say
    rows = [
        [
            for_finding(context, line.finding, _covered(context, line)),
            numbers.count(line.n),
            numbers.count(line.with_mask),
            numbers.hundredths(line.with_mask / line.n),
            *(_accuracy(context, found) for found in (line.accuracy_with, line.accuracy_without)),
        ]
        for line in lines
    ]
    keys = ("subgroup", "n", "with_mask", "share", "accuracy_with", "accuracy_without")
    columns = [say(f"column.{key}") for key in keys]
    return table(say("masks.table"), columns, rows, note=more(context, "audit.json"), limit=20)


def _troubles(context: Context) -> Table | None:
    """Masks that give nothing to measure, by label and level."""
    lines, say = context.document.data.mask_troubles, context.words.say
    if not lines:
        return None
    rows = [
        [
            say("subgroup.all") if line.attribute == ALL else frames.pair(line.attribute, line.level),
            context.words.term("reason", line.status),
            numbers.count(line.n),
            numbers.count(line.rows),
        ]
        for line in lines
    ]
    columns = [say(f"column.{key}") for key in ("subgroup", "reason", "n", "of_rows")]
    return table(say("masks.troubles"), columns, rows, text_columns=2, note=more(context, "audit.json"), limit=20)


def _files(context: Context) -> Table | None:
    """What was done to pictures and masks beyond decoding."""
    notes, say = context.document.data.read_notes, context.words.say
    if not notes:
        return None
    rows = [[_note(context, note), numbers.count(n)] for note, n in notes.items()]
    columns = [say("column.done"), say("column.n")]
    return table(say("files.table"), columns, rows, note=more(context, "examples.parquet"), limit=20)


def _note(context: Context, note: str) -> str:
    """A note in words; what follows a colon is a mode of colours, or a region and what was wrong with its mask."""
    kind, mark, rest = note.partition(":")
    if not mark:
        return context.words.term("note", note)
    if kind == "region":
        name, _, reason = rest.rpartition(":")
        return context.words.say("note.region", name=name, reason=context.words.term("reason", reason))
    return context.words.say(f"note.{kind}", mode=rest)


def _files_sentence(context: Context) -> str:
    """How files were read, as far as that was declared."""
    declared, say = context.document.data.decoding, context.words.say
    if not declared:
        return ""
    exif = say(f"files.exif_{declared['exif']}")
    others = [f"{name} = {_written(value)}" for name, value in declared.items() if name != "exif"]
    soft = [say("files.soft")] if declared.get("mask_mode") == "soft" else []
    return " ".join([exif, *([say("files.declared", what=others)] if others else []), *soft])


def _written(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {item}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _covered(context: Context, line: MaskCoverage) -> str:
    return context.words.say("subgroup.all") if line.attribute == ALL else frames.pair(line.attribute, line.level)


def _accuracy(context: Context, found: Estimate) -> str:
    if found.estimate is None:
        return numbers.NONE
    interval = numbers.span(found.ci_low, found.ci_high)
    value = numbers.hundredths(found.estimate)
    return context.words.say("value.with_n", value=value, interval=interval, n=found.n)


def _findings(context: Context) -> Table | None:
    """What is asked of each finding: its prevalence, its threshold, its scale and its masks."""
    asked, say = context.document.data.findings, context.words.say
    if not asked:
        return None
    rows = [
        [
            item.finding,
            numbers.count(item.present),
            numbers.count(item.absent),
            numbers.count(item.uncertain),
            numbers.count(item.unknown),
            numbers.hundredths(item.prevalence.estimate),
            numbers.span(item.prevalence.ci_low, item.prevalence.ci_high),
            numbers.general(item.threshold),
            context.words.term("judged_on", item.scale),
            say("findings.masks", n=item.with_mask, total=item.present + item.absent, whose=say(f"masks.{item.masks}")),
        ]
        for item in asked
    ]
    names = ("finding", "present", "absent", "uncertain", "unknown", "prevalence", "interval", "operating_threshold")
    columns = [say(f"column.{name}") for name in (*names, "judged_on", "with_mask")]
    unsure = context.document.policy.get("uncertain")
    said = say("findings.table")
    if any(item.uncertain for item in asked):
        said = say("findings.table_uncertain", uncertain=context.words.term("uncertain", unsure))
    whole = table(said, columns, rows, note=more(context, "audit.json"), limit=40)
    # The last two are words, which break where numbers would not.
    return replace(whole, numeric=frozenset(range(1, len(names))))
