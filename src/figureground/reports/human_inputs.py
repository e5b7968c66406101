"""What only people can say of a system: ``system.toml``, or the same as a sheet; shown as given, by whom and when."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from figureground.audit.document.audit_json import HUMAN_FIELDS, AuditDocument, HumanInput
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import RunFolder
from figureground.errors import UsageError
from figureground.reports import reference
from figureground.reports.catalogue import Catalogue

#: Keys in a file, and the names of the fields in ``audit.json``.
FIELDS = HUMAN_FIELDS
#: The field that may also say how large a share each level of an attribute has in use.
POPULATION = "reference_population"
#: What is said of each field.
PARTS = ("value", "by", "at")
#: Longest text of a cell that a page still reads well with.
MAX_TEXT = 4000
_COLUMNS = ("field", "value", "by", "date")


@dataclass(frozen=True)
class Completed(AuditResult):
    """A finished run beside which people said what only they can say; its evidence is as it was."""

    inputs: tuple[HumanInput, ...] = ()

    @cached_property
    def document(self) -> AuditDocument:
        """``audit.json`` with the fields of people filled in as far as they were given."""
        stored = AuditResult(self.path).document
        return stored.model_copy(update={"human_inputs": list(self.inputs)})


def completed(result: AuditResult, file: Path, words: Iterable[Catalogue]) -> Completed:
    """The run with what a file says, of which a copy is kept in ``renders/``, outside of the seal.

    Parameters
    ----------
    result : AuditResult
    file : Path
        ``.toml``, or ``.xlsx`` with the columns of the template.
    words : iterable of Catalogue
        Languages in which the fields of a sheet may be named.

    Raises
    ------
    UsageError
        The file has other fields, a value that nobody stands for, or a date that is none.
    """
    inputs = tuple(read_inputs(file, words))
    name = f"renders/system-{file_sha256(file)[:12]}{file.suffix}"
    RunFolder(result.path).write_render(name, file.read_bytes())
    return Completed(result.path, inputs)


def read_inputs(file: Path, words: Iterable[Catalogue]) -> list[HumanInput]:
    """The fields in their order; empty ones are null. Arguments and errors as for :func:`completed`."""
    given = _sheet(file, words) if file.suffix.lower() == ".xlsx" else _toml(file)
    strange = sorted(set(given) - set(FIELDS))
    if strange:
        raise _refused(file, strange[0], "no such field", f"fields {', '.join(FIELDS)}")
    return [_input(file, key, given.get(key, {})) for key in FIELDS]


def template(words: Catalogue) -> str:
    """``system.toml`` to be filled in, with what each field is for."""
    lines = [f"# {words.say('system.lead')}"]
    for key, name in FIELDS.items():
        lines += ["", f"# {words.term('human', name)}: {words.say(f'system.{key}')}", f"[{key}]"]
        lines += ['value = ""', f'by = ""  # {words.say("column.by")}', f'at = ""  # {words.say("system.date")}']
        if key == POPULATION:
            lines += [f"# {words.say('system.shares')}", "# shares.site = { north = 0.6, south = 0.4 }"]
    return "\n".join(lines) + "\n"


def write_sheet(file: Path, words: Catalogue) -> None:
    """The same template as one sheet of a workbook."""
    book = _openpyxl().Workbook()
    sheet = book.active
    sheet.title = words.say("section.human")[:31]
    sheet.append([words.say(f"column.{name}") for name in _COLUMNS])
    for name in FIELDS.values():
        sheet.append([words.term("human", name), None, None, None])
    for column, width in zip("ABCD", (34, 80, 30, 16), strict=True):
        sheet.column_dimensions[column].width = width
    sheet.freeze_panes = "B2"
    book.save(file)


def _toml(file: Path) -> dict[str, Mapping[str, Any]]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _refused(file, "file", str(error), "a file of TOML, as `figureground system init` writes it") from error
    for key, value in found.items():
        if not isinstance(value, dict):
            raise _refused(file, key, type(value).__name__, f"a table [{key}] with {', '.join(PARTS)}")
    return found


def _sheet(file: Path, words: Iterable[Catalogue]) -> dict[str, Mapping[str, Any]]:
    try:
        # Formulas are text here, and nothing of them is computed.
        book = _openpyxl().load_workbook(BytesIO(file.read_bytes()), read_only=True)
        rows = list(book.active.iter_rows(values_only=True))
    except UsageError:
        raise
    except Exception as error:  # a damaged workbook fails in many ways
        raise _refused(file, "file", f"{type(error).__name__}: {error}", "a workbook with one sheet") from error
    known = {said.term("human", name).casefold(): key for said in words for key, name in FIELDS.items()}
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows[1:]:
        cells = [*row, None, None, None, None][:4]
        if all(cell is None for cell in cells):
            continue
        key = known.get(str(cells[0]).strip().casefold(), str(cells[0]))
        if known.get(str(cells[0]).partition(":")[0].strip().casefold()) == POPULATION and ":" in str(cells[0]):
            _add_share(file, found, str(cells[0]), cells[1])
            continue
        if set(found.get(key, {})) & set(PARTS):
            raise _refused(file, str(cells[0]), "the field twice", "one row for each")
        # Shares of this field may stand above it.
        found[key] = dict(zip(PARTS, cells[1:], strict=True)) | dict(found.get(key, {}))
    return found


def _add_share(file: Path, found: dict[str, Mapping[str, Any]], field: str, value: Any) -> None:
    """A row of the sheet that gives one share."""
    attribute, level, share = reference.from_cell(field, value, lambda *told: _refused(file, *told))
    population = dict(found.get(POPULATION, {}))
    given = population.get("shares", {})
    if level in given.get(attribute, {}):
        raise _refused(file, field, "the field twice", "one row for each")
    population["shares"] = given | {attribute: given.get(attribute, {}) | {level: share}}
    found[POPULATION] = population


def _input(file: Path, key: str, given: Mapping[str, Any]) -> HumanInput:
    known = (*PARTS, "shares") if key == POPULATION else PARTS
    strange = sorted(set(given) - set(known))
    if strange:
        raise _refused(file, f"{key}.{strange[0]}", "no such entry", ", ".join(known))
    value, by, at = (_text(file, f"{key}.{part}", given.get(part)) for part in PARTS)
    if value and not (by and at):
        raise _refused(file, key, "a value without who said it, or when", "by and at beside every value")
    if at:
        _check_date(file, f"{key}.at", at)
    shares = reference.shares(given.get("shares"), lambda where, *told: _refused(file, f"{key}.{where}", *told))
    if shares and not (by and at):
        raise _refused(file, f"{key}.shares", "shares without who gave them, or when", "by and at beside them")
    return HumanInput(field=FIELDS[key], value=value, by=by, at=at, shares=shares)


def _text(file: Path, where: str, given: Any) -> str | None:
    if given is None or given == "":
        return None
    if isinstance(given, date):
        return (given.date() if isinstance(given, datetime) else given).isoformat()
    if not isinstance(given, str) or len(given) > MAX_TEXT:
        found = f"{len(given)} characters" if isinstance(given, str) else type(given).__name__
        raise _refused(file, where, found, f"a text of at most {MAX_TEXT} characters")
    return given.strip() or None


def _check_date(file: Path, where: str, at: str) -> None:
    try:
        date.fromisoformat(at)
    except ValueError as error:
        raise _refused(file, where, repr(at), "a date as 2026-11-28") from error


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise UsageError(
            "EXTRA_MISSING",
            "system",
            found="no package openpyxl",
            expected="it, for sheets of workbooks",
            fix="pip install 'figureground[xlsx]', or use system.toml",
        ) from error
    return openpyxl


def _refused(file: Path, where: str, found: str, expected: str) -> UsageError:
    fix = "write a template with `figureground system init`, and fill it in"
    return UsageError("SYSTEM_FILE", f"{file}:{where}", found=found, expected=expected, fix=fix)
