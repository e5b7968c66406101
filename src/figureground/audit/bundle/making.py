"""An edition of a sealed run: its evidence, edited, under pseudonyms; the report is rendered from it like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from figureground.audit.bundle.edited import Editor, Json, bare
from figureground.audit.bundle.ends import Ends
from figureground.audit.bundle.families import NOTHING, SMALL, Hidden, hidden_cells
from figureground.audit.bundle.keys import Key
from figureground.audit.bundle.lines import Pseudonyms
from figureground.audit.bundle.secrets import Secrets, secrets_of
from figureground.audit.document.audit_json import AuditDocument, Edition, Message
from figureground.audit.document.handed import EditionName
from figureground.audit.keeping import tables
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.keeping.run_lock import HOLDER, LOCK
from figureground.audit.keeping.tables import ALL
from figureground.errors import IntegrityError, UsageError

BUNDLE, SUMS = "bundle.json", "SHA256SUMS"
EDITIONS: tuple[EditionName, ...] = ("internal", "regulator", "public")
#: Tables with lines of images, apart from the examples; those of swaps say which level a row is of.
_PLAIN, _SWAPPED = ("attributions", "predictions"), ("strata", "scores")


@dataclass(frozen=True)
class Edit:
    """One edition of one run.

    Attributes
    ----------
    run : AuditResult
        A sealed run, found as it was sealed.
    edition : {"internal", "regulator", "public"}
    key : Key
    """

    run: AuditResult
    edition: EditionName
    key: Key = field(repr=False)

    @property
    def outside(self) -> bool:
        """Whether it leaves the house."""
        return self.edition != "internal"

    @property
    def threshold(self) -> int | None:
        """Fewer people than this are hidden."""
        return SMALL if self.outside else None

    @cached_property
    def hidden(self) -> Hidden:
        """Cells and attributes that may not be shown."""
        return hidden_cells(self.run.subgroups, SMALL) if self.outside else NOTHING

    @property
    def pictures(self) -> bool:
        """Whether pictures come along."""
        return not self.outside

    @property
    def lines(self) -> bool:
        """Whether tables with a line for each image come along: never where they let a small cell be counted."""
        return self.edition == "internal" or (self.edition == "regulator" and self.countable)

    @cached_property
    def countable(self) -> bool:
        """Whether labels, joined ones too, may be counted."""
        labels = self.run.document.data.labels.values()
        return not self.hidden.labels and not any(0 < n < SMALL for n in labels)

    @cached_property
    def levelled(self) -> bool:
        """Whether rows may say which environment or stratum they are of: none of its cells is hidden or small."""
        if not self.outside:
            return True
        cells = {(a, level) for found in self.hidden.cells.values() for a, level, _ in found}
        composed = self.run.document.data.composition
        few = any(cell.attribute == "environment" and 0 < cell.n < SMALL for cell in composed)
        hides = any(attribute == "environment" for attribute, _ in cells) or "environment" in self.hidden.attributes
        return not (few or hides or self._strata_are_small())

    def _strata_are_small(self) -> bool:
        """The strata are of labels where there is no environment; and an environment need not be a subgroup."""
        examples = self.run.examples
        rows = examples[examples["status"] == "ok"]
        if rows["environment"].isna().all():
            return False
        cells = rows.groupby([rows["label"].fillna(""), rows["environment"].fillna("")])["cluster"]
        return bool((cells.nunique() < SMALL).any())

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Columns that rows keep: inside the house, those that make subgroups."""
        if self.outside:
            return ()
        groups = [group.attribute for group in self.run.document.data.groups]
        parts = [part.strip().split(":")[0] for name in groups for part in name.split("*")]
        return tuple(dict.fromkeys(name for name in parts if name in self.run.examples.columns))

    @cached_property
    def ends(self) -> Ends:
        """Names of bins that would tell the least and the greatest value of somebody's."""
        return Ends.of(self.run.document.data.groups if self.outside else ())

    @cached_property
    def document(self) -> Json:
        """``audit.json`` of the edition."""
        whole: Json = json.loads((self.run.path / "audit.json").read_text(encoding="utf-8"))
        secrets = secrets_of(self.run, self.hidden, self.attributes)
        edit = Editor(self.hidden, self.threshold, secrets, self.key.row_id, self.pictures)
        edited = self.ends.document(edit(whole)) | {"edition": self.stated.model_dump(mode="json")}
        if self.edition == "public":
            edited["findings"] = [_unsigned(finding) for finding in edited["findings"]]
        return AuditDocument.model_validate(edited).model_dump(mode="json")

    @cached_property
    def stated(self) -> Edition:
        """What the edition says of itself."""
        cells = sum(map(len, self.hidden.cells.values()))
        return Edition(
            name=self.edition,
            key_id=self.key.key_id,
            seal=self.run.seal,
            threshold=self.threshold,
            hidden_cells=cells,
            hidden_attributes=sorted(self.hidden.attributes),
            rows=self.lines,
            left_out=list(self._left_out()),
        )

    def _left_out(self) -> Iterator[Message]:
        yield Message(key="edition.ids.key" if self.key.kept else "edition.ids.forgotten")
        if not self.outside:
            return
        yield Message(key="edition.pictures")
        yield Message(key="edition.cells", args={"n": sum(map(len, self.hidden.cells.values())), "threshold": SMALL})
        for name in sorted(self.hidden.attributes):
            yield Message(key="edition.attribute", args={"attribute": name, "threshold": SMALL})
        if self.edition == "public":
            yield Message(key="edition.rows.public")
        elif not self.lines:
            yield Message(key="edition.rows.small", args={"threshold": SMALL})
        else:
            yield Message(key="edition.rows.attributes")
            if not self.levelled:
                yield Message(key="edition.rows.levels", args={"threshold": SMALL})

    def write(self, folder: RunFolder) -> None:
        """All evidence of the edition, sealed; the caller renders, and lists the files."""
        self._write_settings(folder)
        self._write_aggregates(folder)
        if self.lines:
            self._write_lines(folder)
        if self.pictures:
            self._write_pictures(folder)
        folder.write_json("audit.json", self.document)
        folder.seal()

    def _write_settings(self, folder: RunFolder) -> None:
        config = json.loads((self.run.path / "config.json").read_text(encoding="utf-8"))
        folder.write_json("config.json", config | {"target": bare(config["target"])})
        policy = json.loads((self.run.path / "policy.json").read_text(encoding="utf-8"))
        folder.write_json(
            "policy.json", {k: v for k, v in policy.items() if k != "decision" or self.edition != "public"}
        )

    def _write_aggregates(self, folder: RunFolder) -> None:
        edit = Editor(self.hidden, self.threshold, Secrets(frozenset()), self.key.row_id, self.pictures)
        for name, shows in (("subgroups", edit.shows), ("tests", edit.shows_test), ("mean_maps", self._shows_map)):
            frame = getattr(self.run, name)
            kept = [shows(row) for row in _plain(frame)]
            frame = self.ends.frame(frame[pd.Series(kept, index=frame.index, dtype=bool)])
            folder.write_table(
                f"{name}.parquet", frame.drop(columns=["row_ids"], errors="ignore"), tables.SCHEMAS[name]
            )

    def _shows_map(self, row: Json) -> bool:
        finding = next(iter(self.hidden.cells), None)
        return row["n"] >= SMALL and not self.hidden.hides(row["attribute"], row["level"], row["label"] or ALL, finding)

    def _write_lines(self, folder: RunFolder) -> None:
        under = Pseudonyms(self.key, self.attributes)
        examples = under.examples(self.run.examples)
        if not self.levelled:
            examples["environment"] = None
        folder.write_table("examples.parquet", examples, tables.EXAMPLES)
        for name in _PLAIN:
            for file in sorted((self.run.path / name).glob("part-*.parquet")):
                table = under.arrow(pq.read_table(file))
                with folder.publishing(f"{name}/{file.name}") as draft:
                    pq.write_table(self._open(table), draft, compression="zstd")
        for name in _SWAPPED if self.levelled else ():
            if (self.run.path / f"{name}.parquet").is_file():
                with folder.publishing(f"{name}.parquet") as draft:
                    pq.write_table(under.arrow(pq.read_table(self.run.path / f"{name}.parquet")), draft)

    def _open(self, table: Any) -> Any:
        """Where levels may not be counted: the unchanged images alone, since a swap's arms tell the donor's level."""
        if self.levelled or "intervention" not in table.column_names:
            return table
        return table.filter([value == "none" for value in table["intervention"].to_pylist()])

    def _write_pictures(self, folder: RunFolder) -> None:
        gallery = Pseudonyms(self.key).ids(self.run.gallery)
        folder.write_table("gallery.parquet", gallery, tables.GALLERY)
        for name in sorted(set(gallery["asset"].dropna())):
            folder.write_bytes(f"assets/{name}.webp", self.run.asset(name))


def check_edition(run: Path, out: Path, edition: str, key_file: Path | None) -> None:
    """Refuse what cannot be an edition, a bundle of a bundle, and a key that would be handed over."""
    if edition not in EDITIONS:
        raise UsageError(
            "EDITION",
            "edition",
            found=repr(edition),
            expected=f"one of {', '.join(EDITIONS)}",
            fix="--edition regulator",
        )
    if (run / BUNDLE).is_file():
        raise UsageError(
            "EDITION",
            str(run),
            found="a bundle, which has an edition already",
            expected="a finished run",
            fix="bundle the run that it was made from",
        )
    if out.resolve().is_relative_to(run.resolve()):
        raise IntegrityError(
            "RUN_FOLDER",
            str(out),
            found="a folder inside the run",
            expected="a folder of its own",
            fix="give another -o",
        )
    if key_file is not None and any(key_file.resolve().is_relative_to(folder.resolve()) for folder in (run, out)):
        raise IntegrityError(
            "KEY_FILE",
            str(key_file),
            found="a key inside a run or bundle",
            expected="a key that is kept apart from what is handed over",
            fix="keep it elsewhere",
        )


def list_files(own: RunFolder, edit: Edit) -> None:
    """``bundle.json`` and ``SHA256SUMS`` over all that is in a bundle, the report included."""
    folder = own.path
    for name in (BUNDLE, SUMS):  # entered in the ledger before that is hashed
        own.new_file(name)
    files = {name: file_sha256(folder / name) for name in _files(folder)}
    own.write_json(
        BUNDLE,
        {
            "edition": edit.edition,
            "key_id": edit.key.key_id,
            "run": edit.run.document.audit.id,
            "seal": edit.run.seal,
            "files": files,
        },
    )
    sums = {**files, BUNDLE: file_sha256(folder / BUNDLE)}
    own.write_bytes(SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode())


def _files(folder: Path) -> list[str]:
    found = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return sorted(name for name in found if name not in (BUNDLE, SUMS, LOCK, HOLDER))


def _unsigned(finding: Json) -> Json:
    """A finding without the name of who decided about it."""
    decision = finding["decision"]
    return finding if decision is None else {**finding, "decision": {**decision, "by": "(left out)"}}


def _plain(frame: pd.DataFrame) -> Iterator[Json]:
    plain = frame.astype(object).where(frame.notna(), None)
    yield from ({str(name): value for name, value in row.items()} for row in plain.to_dict("records"))
