"""Two finished audits side by side, from Python; the command line calls the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figureground.audit.compare.document import ComparisonDocument, CueChange
from figureground.audit.declared.config import Policy, Severity, load_policy
from figureground.audit.keeping.files import published
from figureground.audit.keeping.result import AuditResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """What changed between two audits.

    Attributes
    ----------
    document : ComparisonDocument
        The whole of it; ``compare.schema.json`` describes its JSON.
    """

    document: ComparisonDocument

    @property
    def exit_code(self) -> int:
        """What the command line answers: 1 new or worse, 3 coverage lost or nothing to be told, 0 otherwise."""
        return self.document.gate.exit_code

    @property
    def cues(self) -> list[CueChange]:
        """Every cue, what needs attention first."""
        return self.document.cues

    @property
    def differences(self) -> pd.DataFrame:
        """One row for each cue, measure and subgroup: second audit minus first, with its interval."""
        import pandas as pd

        return pd.DataFrame(list(_rows(self.document)))

    def json(self) -> str:
        """The document as JSON with sorted keys and no NaN; the same two audits give the same text."""
        import json

        values = self.document.model_dump(mode="json")
        return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    def html(self, lang: str = "en") -> str:
        """The page as text."""
        from figureground.reports.comparison.html import render_html

        return render_html(self.document, lang)

    def lines(self, lang: str = "en") -> list[str]:
        """What changed, as plain sentences."""
        from figureground.reports.comparison.lines import comparison_lines

        return comparison_lines(self.document, lang)


def compare_runs(
    first: str | Path | AuditResult,
    second: str | Path | AuditResult,
    *,
    policy: Policy | dict[str, Any] | str | Path | None = None,
    fail_on: Severity | None = None,
    key_file: str | Path | None = None,
    out: str | Path | None = None,
    json: str | Path | None = None,
    lang: str = "en",
) -> Comparison:
    """Compare two finished audits, row by row where they have images in common; needs neither the model nor torch.

    Parameters
    ----------
    first, second : path or AuditResult
        Sealed runs or bundles: the earlier one, and the one that is asked about. Both are checked file by file, and
        left alone.
    policy : Policy, dict or path, optional
        Its error, power, material and negligible effects, least units, required cues and ``fail_on`` decide. Default:
        the policy of the second audit.
    fail_on : {"critical", "high", "moderate", "low"}, optional
        A new or worse demonstrated cue of this severity or worse fails the gate; in place of the policy's.
    key_file : path, optional
        The owner's key under which a bundle was made: a run is then compared with it row by row, its hashes put under
        the key in memory. Without it a run and a bundle are compared as wholes.
    out, json : path, optional
        Where the page and the document are written; nothing is written by default.
    lang : str
        Language of the page.

    Returns
    -------
    Comparison
        The same two audits and policy give the same bytes.

    Raises
    ------
    figureground.errors.FiguregroundError
        An audit did not finish, or is not as it was sealed; a bundle was made under another key.
    """
    from figureground import __version__
    from figureground.audit.bundle.keys import Key
    from figureground.audit.bundle.owned import under_key
    from figureground.audit.compare.comparing import Comparing
    from figureground.audit.compare.side import Side

    opened = [Side.open(item.path if isinstance(item, AuditResult) else Path(item)) for item in (first, second)]
    sides = opened if key_file is None else under_key(opened, Key.found_in(Path(key_file)))
    chosen = sides[1].policy if policy is None else load_policy(policy)
    if fail_on is not None:
        chosen = load_policy({**chosen.model_dump(), "fail_on": fail_on})
    found = Comparison(Comparing(sides[0], sides[1], chosen, __version__)())
    for text, target in ((found.html(lang) if out else "", out), (found.json() if json else "", json)):
        if target is not None:
            _write(Path(target), text)
    return found


def compare(first: str | Path | AuditResult, second: str | Path | AuditResult, **options: Any) -> Comparison:
    """:func:`compare_runs` under the name that the command has; takes the same options."""
    return compare_runs(first, second, **options)


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with published(target) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def _rows(document: ComparisonDocument) -> Any:
    for cue in document.cues:
        yield {"kind": "cue", "name": cue.cue, "finding": cue.finding, "state": cue.state} | _numbers(cue.difference)
    for item in document.measures:
        name = f"{item.measure} {item.method}" if item.method else item.measure
        yield {"kind": "measure", "name": name, "finding": item.finding, "state": item.state} | _numbers(
            item.difference
        )
    for group in document.groups:
        name = f"{group.attribute} = {group.level}, {group.label}"
        yield {"kind": "group", "name": name, "finding": group.finding, "state": None} | _numbers(group.difference)


def _numbers(found: Any) -> dict[str, Any]:
    return {} if found is None else found.model_dump(exclude={"reason"})


__all__ = ["Comparison", "compare", "compare_runs"]
