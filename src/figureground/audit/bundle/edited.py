"""``audit.json`` of an edition: what may not be shown is gone, and what is left is a document like any other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from figureground.audit.bundle import numbers
from figureground.audit.bundle.families import Hidden
from figureground.audit.bundle.secrets import Secrets
from figureground.audit.keeping.tables import ALL

LEFT_OUT = "(left out)"
#: A folder before the name of a file.
_FOLDERS = re.compile(r"(?:\b[A-Za-z]:(?=\\))?[^\s:=]*[/\\]")
#: Arguments of messages that are words of ours, whatever the data calls its own.
_OURS = ("cue", "state", "commands", "method", "scale", "class_name")
#: Measures that count the rows of each label apart: their n, or the number itself, says how a level divides by label
#: (a balanced accuracy is a sum of two fractions whose denominators are the counts).
BY_LABEL = frozenset({"balanced_accuracy", "auroc", "auprc", "sensitivity", "specificity"})
#: Tests of the whole that do.
_OF_LABELS = ("on_positives", "on_negatives")
Json = dict[str, Any]


@dataclass(frozen=True)
class Editor:
    """Takes out of a document what an edition may not show.

    Attributes
    ----------
    hidden : Hidden
    threshold : int or None
        Counts below it, other than 0, go where nothing else hides them; None: none does.
    secrets : Secrets
        Values of the data that name somebody.
    row_id : callable
        Pseudonym of a row id.
    pictures : bool
        Whether the pictures come along.
    """

    hidden: Hidden
    threshold: int | None
    secrets: Secrets = field(repr=False)
    row_id: Callable[[int], int] = field(repr=False)
    pictures: bool

    def __call__(self, document: Json) -> Json:
        """The document of the edition."""
        edited = {
            **document,
            "subject": {
                **document["subject"],
                **{name: bare(document["subject"][name]) for name in ("spec", "target")},
            },
            "data": self._data(document["data"]),
            "performance": self._performance(document["performance"]),
            "subgroups": self._kept(document["subgroups"]),
            "tests": [row for row in document["tests"] if self.shows_test(row)],
            "assets": document["assets"] if self.pictures else [],
            # Pictures come along inside the house alone; so does what nobody read in the original.
            "clause_map": [row for row in document["clause_map"] if self.pictures or row["verified"] == "read"],
        }
        for name in ("verdict", "findings", "not_tested", "trust"):
            edited[name] = self.scrub(document[name])
        return edited

    def shows(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of a table may be shown: one that names an attribute and a level, a label perhaps."""
        label, attribute, level = row.get("label") or ALL, row["attribute"], row["level"]
        if attribute == "label":  # a total by label, in tables that have levels only
            label, attribute, level = level, ALL, ALL
        finding = row.get("finding")
        if self.hidden.hides(attribute, level, label, finding):
            return False
        if row.get("measure") in BY_LABEL and label == ALL and self._divided(attribute, level, finding):
            return False
        return not any(self._few(row.get(name)) for name in ("n", "n_rows", "n_clusters"))

    def _divided(self, attribute: str, level: str, finding: str | None) -> bool:
        """Whether a cell of the level by label is hidden, though the level is shown."""
        return any((a, b) == (attribute, level) for a, b, _ in self.hidden.cells.get(finding, frozenset()))

    def shows_test(self, row: Mapping[str, Any]) -> bool:
        """Whether a test may be shown: neither of the levels that it compares is hidden."""
        attribute = row.get("attribute") or "environment"
        ends = (row.get("arm"), row.get("reference"))
        if row.get("test") in _OF_LABELS and self.hidden.labels:
            return False
        if row.get("scale") in BY_LABEL and any(self._divided(attribute, str(end), row.get("finding")) for end in ends):
            return False
        return not any(end is not None and self.hidden.hides(attribute, str(end)) for end in ends)

    def _few(self, n: Any) -> bool:
        return self.threshold is not None and n is not None and 0 < n < self.threshold

    def _kept(self, rows: list[Json]) -> list[Json]:
        return [row for row in rows if self.shows(row)]

    def _data(self, data: Json) -> Json:
        hidden = self.hidden
        environment = {level for name, level in hidden.levels if name == "environment"}
        return {
            **data,
            "labels": self._labels(data["labels"]),
            "environments": {
                level: n for level, n in data["environments"].items() if level not in environment and not self._few(n)
            },
            "groups": [self._group(group) for group in data["groups"] if group["attribute"] not in hidden.attributes],
            "not_used": [{**item, "reason": self._reason(item["reason"])} for item in data["not_used"]],
            "composition": self._composition(data["composition"]),
            "associations": numbers.associations(data.get("associations", []), hidden),
            "mask_coverage": [row for row in data["mask_coverage"] if self._covered(row)],
            "mask_troubles": [row for row in data["mask_troubles"] if self.shows(row)],
            "findings": [row for row in data["findings"] if not any(self._few(row[k]) for k in ("present", "absent"))],
            "overlap": self._overlap(data["overlap"]),
            "sample": self._sample(data["sample"]),
            "reading": None if data["reading"] is None else self._text(bare(data["reading"]) or ""),
        }

    def _labels(self, labels: Json) -> Json:
        """Totals by label; where several findings are joined to one label, all or none."""
        if None not in self.hidden.cells and any(map(self._few, labels.values())):
            return {}
        return {name: n for name, n in labels.items() if name not in self.hidden.labels and not self._few(n)}

    def _group(self, group: Json) -> Json:
        levels = [item for item in group["levels"] if not self.hidden.hides(group["attribute"], item["level"])]
        return {**group, "levels": levels}

    @staticmethod
    def _reason(reason: str) -> str:
        """Why a column makes no subgroups, without what stands in it."""
        kind = "one level only"
        return kind if reason.startswith(kind) else reason

    def _composition(self, cells: list[Json]) -> list[Json]:
        """Cells of labels that the tables of subgroups have as well; other tables whole, or not at all."""
        known = {label for cells in self.hidden.cells.values() for _, _, label in cells}
        few = {cell["attribute"] for cell in cells if self._few(cell["n"]) and cell["label"] not in known}
        return [cell for cell in cells if cell["attribute"] not in few and self.shows(cell)]

    def _covered(self, row: Json) -> bool:
        return self.shows(row) and not any(map(self._few, (row["with_mask"], row["n"] - row["with_mask"])))

    def _overlap(self, overlap: Json | None) -> Json | None:
        if overlap is None:
            return None
        found = {kind: [str(self.row_id(int(one))) for one in ids] for kind, ids in overlap["row_ids"].items()}
        return {**overlap, "row_ids": found}

    def _sample(self, sample: Json | None) -> Json | None:
        """Strata all or none: rows drawn and not drawn add up to those of the tables."""
        if sample is None or self.threshold is None:
            return sample
        names = ("clusters", "rows", "drawn", "rows_drawn")
        few = self.hidden.any or any(self._few(line[name]) for line in sample["strata"] for name in names)
        return {**sample, "strata": []} if few else sample

    def _performance(self, part: Json) -> Json:
        kept = {name: [row for row in part[name] if self._shows_group(row)] for name in ("by_group", "left_out")}
        single = {
            name: part[name] if part[name] and self._shows_group(part[name]) else None
            for name in ("worst_group", "worst_exploratory")
        }
        bound = part["worst_bound"]
        hides = bound is not None and self.hidden.hides(
            bound["attribute"], bound["group"], bound["label"], part["finding"]
        )
        return {
            **part,
            **kept,
            **single,
            "worst_bound": None if hides else bound,
            "averages": [row for row in part["averages"] if not self._hides_any(row["attribute"])],
            "confusion": [row for row in part["confusion"] if self._shows_confusion(row, part["finding"])],
            "others": [self._performance(other) for other in part["others"]],
            "reliability": numbers.reliability(part.get("reliability", []), self.hidden, part["finding"], self._few),
            "false_alarms": numbers.false_alarms(part.get("false_alarms"), self.hidden),
        }

    def _hides_any(self, attribute: str) -> bool:
        """Whether a level of an attribute is hidden: an average over large ones tells how many rows are in others."""
        return attribute in self.hidden.attributes or any(name == attribute for name, _ in self.hidden.levels)

    def _shows_group(self, row: Json) -> bool:
        return self.shows({**row, "n": row["accuracy"]["n"], "n_clusters": row["accuracy"]["n_clusters"]})

    def _shows_confusion(self, row: Json, finding: str | None) -> bool:
        """A matrix whose rows add up to no hidden cell of its level."""
        cells = self.hidden.cells.get(finding, frozenset())
        known = any((a, level) == (row["attribute"], row["level"]) for a, level, _ in cells)
        return not known and not self.hidden.hides(row["attribute"], row["level"])

    def scrub(self, value: Any) -> Any:
        """Arguments of messages, and reasons, in which nobody is named; all else as it is."""
        if isinstance(value, list):
            return [self.scrub(item) for item in value]
        if not isinstance(value, dict):
            return value
        open_to_data = ("args", "reason", "subject", "direction")
        return {name: self._told(one) if name in open_to_data else self.scrub(one) for name, one in value.items()}

    def _told(self, value: Any) -> Any:
        if isinstance(value, dict):
            told = {name: one if name in _OURS else self._told(one) for name, one in value.items()}
            return told | {"accuracy": None} if self._of_hidden_cell(value) else told
        if isinstance(value, list):
            return [self._told(one) for one in value]
        return self._text(value) if isinstance(value, str) else value

    def _of_hidden_cell(self, args: Mapping[str, Any]) -> bool:
        """Whether a message tells the accuracy of a hidden cell: a fraction, whose denominator is the count."""
        if not {"attribute", "level", "accuracy"} <= set(args):
            return False
        cell = (args["attribute"], args["level"], args.get("label") or ALL)
        return any(self.hidden.hides(*cell, finding) for finding in (None, *self.hidden.cells))

    def _text(self, text: str) -> str:
        """The text, or that it is left out: it is, or has as a word, a value that names somebody."""
        return LEFT_OUT if self.secrets.stand_in(text) else text


def bare(text: str | None) -> str | None:
    """A text with the folders before names of files taken off."""
    return None if text is None else _FOLDERS.sub("", text)
