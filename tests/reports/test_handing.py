"""What is handed over: nobody is named in it, no small group can be counted, and it says what it leaves out."""

from __future__ import annotations

import base64
import html
import json
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from figureground.audit.bundle.keys import Key
from figureground.audit.document.audit_json import AuditDocument
from figureground.audit.keeping import tables
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import RunFolder, check_seal, read_table
from figureground.errors import IntegrityError, UsageError
from figureground.handing import bundle_run
from figureground.reports.catalogue import load

NAME, NOTE, RARE, ONLY = "Ms Planted Surname", "free text about nobody else", "RareClinic", "the only value"
N = 805


def digest(at: int) -> str:
    return f"{at:064x}"


@pytest.fixture(scope="module")
def planted(synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """A run in which patients, paths, notes and hashes are planted, with a clinic of seven images."""

    class Planted(synthetic):
        def examples(self) -> pd.DataFrame:
            found = super().examples()
            index = np.arange(len(found))
            return found.assign(
                path=[f"scans/{NAME} {at}/image.png" for at in index],
                cluster=[f"{NAME} {at}" for at in index],
                sha256=[digest(at) for at in index],
                note=[f"{NOTE} {at}" for at in index],
                only=ONLY,
                site=[RARE if at < 7 else "north" if at % 2 else "south" for at in index],
            )

        def subgroups(self) -> pd.DataFrame:
            found = super().subgroups()
            like = found[(found["attribute"] == "(all)") & (found["measure"] == "accuracy")].iloc[0]
            rows = [
                {**like, "attribute": "site", "level": level, "n_rows": n, "n": n, "n_clusters": n}
                for level, n in ((RARE, 7), ("north", 397), ("south", 396))
            ]
            accuracy = found[(found["measure"] == "accuracy") & (found["attribute"] != "ground")]  # charts take time
            return pd.concat([accuracy, pd.DataFrame(rows)], ignore_index=True)

        def tests(self) -> pd.DataFrame:
            return super().tests().iloc[:0]

        def document(self, **changes: Any) -> AuditDocument:
            found = super().document().model_dump(mode="json")
            found["data"]["not_used"] = [{"column": "only", "reason": f"one level only: {ONLY}"}]
            site = [{"level": level, "n": n} for level, n in ((RARE, 7), ("north", 397), ("south", 396))]
            found["data"]["groups"].append(
                {"attribute": "site", "origin": "default", "levels": site, "bin_edges": None}
            )
            args = {"attribute": "site", "level": RARE, "label": "(all)", "accuracy": 0.5, "overall": 0.7}
            worst = {"id": "worst-rare", "cue": None, "status": None, "message": {"key": "worst_group", "args": args}}
            found["findings"].append(worst)
            found["performance"]["confusion"] = []
            return AuditDocument.model_validate(found)

        def write(self, path: Path, **changes: Any) -> AuditResult:
            super().write(path)
            run = RunFolder(path)
            run.write_table("mean_maps.parquet", means(), tables.MEAN_MAPS)
            run.seal()
            return AuditResult(path)

    return Planted().write(tmp_path_factory.mktemp("planted") / "run")


def means() -> pd.DataFrame:
    """Mean maps of all, of a clinic that is shown, of the rare one, and of a shown level with too few images."""
    levels = [("(all)", "(all)", 24), ("site", "north", 24), ("site", RARE, 7), ("lighting", "bright", 9)]
    rows = [
        {
            "attribute": attribute,
            "level": level,
            "label": "(all)",
            "method": method,
            "sign": sign,
            "n": n,
            "n_clusters": n,
            "height": 4,
            "width": 4,
            "values": (np.arange(16) / 120).tolist(),
            "row_ids": list(range(100, 100 + n)),
        }
        for attribute, level, n in levels
        for method, sign in (("saliency", "absolute"), ("gradcam", "positive"))
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def bundles(planted: AuditResult, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All editions under one key."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        edition: bundle_run(planted.path, out=folder / edition, edition=edition, key_file=folder / "key")  # type: ignore[arg-type]
        for edition in ("internal", "regulator", "public")
    }


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file as it is, and what it holds once decoded: columns, entities, data URIs."""
    for file in (one for one in sorted(folder.rglob("*")) if one.is_file()):
        content = file.read_bytes()
        yield file.name, file.name.encode() + content
        if file.suffix == ".parquet":
            yield file.name, json.dumps(pq.read_table(file).to_pylist(), default=str, ensure_ascii=False).encode()
        if file.suffix == ".html":
            page = content.decode()
            yield file.name, html.unescape(page).encode()
            for found in re.findall(r"base64,([A-Za-z0-9+/=]+)", page):
                yield f"{file.name} (inside)", base64.b64decode(found)


def secrets(run: AuditResult) -> list[str]:
    return [NAME, "Planted", NOTE, ONLY, *(digest(at) for at in range(N)), str(run.path)]


@pytest.mark.parametrize("edition", ["internal", "regulator", "public"])
def test_nobody_who_was_planted_is_anywhere(edition: str, bundles: dict[str, Path], planted: AuditResult) -> None:
    wanted = [one.encode() for one in secrets(planted)] + ([RARE.encode()] if edition != "internal" else [])
    for name, content in texts(bundles[edition]):
        found = [one for one in wanted if one in content]
        assert found == [], name


def test_the_search_finds_what_was_planted(planted: AuditResult) -> None:
    held = b"".join(content for _, content in texts(planted.path))
    assert all(one.encode() in held for one in (NAME, NOTE, ONLY, digest(3), RARE))


def test_row_ids_are_pseudonyms_and_the_same_in_every_table(bundles: dict[str, Path], planted: AuditResult) -> None:
    key = Key.of_file(bundles["regulator"].parent / "key")
    new = {name: set(read_table(bundles["regulator"], name)["row_id"]) for name in ("examples", "predictions")}
    old = {name: set(read_table(planted.path, name)["row_id"]) for name in new}
    for name, ids in new.items():
        assert ids == {key.row_id(int(one)) for one in old[name]}
        assert ids.isdisjoint(old[name])


def test_hashes_are_hmacs_under_the_owners_key(bundles: dict[str, Path]) -> None:
    key = Key.of_file(bundles["regulator"].parent / "key")
    examples = read_table(bundles["regulator"], "examples")
    assert set(examples["sha256"]) == {key.digest(digest(at)) for at in range(N)}
    listed = json.loads((bundles["regulator"] / "bundle.json").read_text())
    assert listed["key_id"] == key.key_id
    assert key.secret.hex().encode() not in b"".join(content for _, content in texts(bundles["regulator"]))
    assert stat.S_IMODE((bundles["regulator"].parent / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("edition", ["internal", "regulator", "public"])
def test_sha256sum_alone_checks_every_file(edition: str, bundles: dict[str, Path]) -> None:
    folder = bundles[edition]
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, check=False)  # noqa: S607
    assert done.returncode == 0, done.stderr
    checked = {line.split(": ")[0] for line in done.stdout.decode().splitlines()}
    assert checked == {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} - {
        "SHA256SUMS"
    }
    check_seal(folder)


def test_pictures_stay_inside_the_house(bundles: dict[str, Path], planted: AuditResult) -> None:
    assert len(list((bundles["internal"] / "assets").iterdir())) == len(set(planted.gallery["asset"]))
    for edition in ("regulator", "public"):
        assert not (bundles[edition] / "assets").exists()
        assert "image/webp" not in (bundles[edition] / "report.en.html").read_text()
        assert AuditResult(bundles[edition]).document.assets == []


def test_only_the_regulator_and_the_house_get_lines_of_images(bundles: dict[str, Path]) -> None:
    assert (bundles["regulator"] / "examples.parquet").is_file()
    assert not list(bundles["public"].rglob("examples.parquet"))
    assert not (bundles["public"] / "predictions").exists()
    kept = set(read_table(bundles["regulator"], "examples").columns)
    assert kept == set(tables.EXAMPLES.names)


def test_small_cells_are_hidden_with_another_beside_them(bundles: dict[str, Path]) -> None:
    shown = AuditResult(bundles["public"]).subgroups
    sites = set(shown.loc[shown["attribute"] == "site", "level"])
    assert RARE not in sites
    assert len(sites) == 1  # with both others, the rest of 800 would be the seven
    document = AuditResult(bundles["public"]).document
    group = next(group for group in document.data.groups if group.attribute == "site")
    assert {level.level for level in group.levels} == sites
    assert document.edition is not None
    assert document.edition.hidden_cells >= 2


def test_mean_maps_stand_in_the_gallerys_place(bundles: dict[str, Path]) -> None:
    maps = AuditResult(bundles["public"]).mean_maps
    assert set(maps["n"]) == {24}
    assert RARE not in set(maps["level"])
    assert maps["row_ids"].isna().all()
    page = (bundles["public"] / "report.en.html").read_text()
    assert "Where the model looks on average" in page
    assert page.count("data:image/png") == len(maps)
    assert "Where the model looks on average" not in (bundles["internal"] / "report.en.html").read_text()


def test_the_report_says_which_edition_it_is_and_what_is_left_out(bundles: dict[str, Path]) -> None:
    page = html.unescape((bundles["regulator"] / "report.en.html").read_text())
    assert "Regulator edition" in page
    assert "No pictures, because" in page
    assert "fewer than 10 images" in page
    assert "Public edition" in (bundles["public"] / "report.en.html").read_text()


def test_a_finding_keeps_its_state_and_names_no_hidden_level(bundles: dict[str, Path], planted: AuditResult) -> None:
    for folder in bundles.values():
        kept = [(one.id, one.status) for one in AuditResult(folder).document.findings]
        assert kept == [(one.id, one.status) for one in planted.document.findings]


def test_the_same_key_gives_the_same_bytes(bundles: dict[str, Path], planted: AuditResult, tmp_path: Path) -> None:
    again = bundle_run(planted.path, out=tmp_path / "again", key_file=bundles["regulator"].parent / "key", report=False)
    files = [json.loads((folder / "bundle.json").read_text())["files"] for folder in (again, bundles["regulator"])]
    assert len(files[0]) > 8
    assert {name: files[1][name] for name in files[0] if name != "LEDGER"} == {
        name: found for name, found in files[0].items() if name != "LEDGER"
    }


def test_without_a_key_file_two_bundles_share_no_id(planted: AuditResult, tmp_path: Path) -> None:
    one, other = (bundle_run(planted.path, out=tmp_path / name, report=False) for name in ("one", "other"))
    ids = [set(read_table(folder, "examples")["row_id"]) for folder in (one, other)]
    assert ids[0].isdisjoint(ids[1])
    assert json.loads((one / "bundle.json").read_text())["key_id"] is None


def test_what_cannot_be_bundled_is_refused(bundles: dict[str, Path], planted: AuditResult, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="EDITION"):
        bundle_run(planted.path, out=tmp_path / "a", edition="secret")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a bundle"):
        bundle_run(bundles["public"], out=tmp_path / "b")
    with pytest.raises(IntegrityError, match="KEY_FILE"):
        bundle_run(planted.path, out=tmp_path / "c", key_file=tmp_path / "c" / "key")
    assert not (tmp_path / "c").exists()
    with pytest.raises(IntegrityError, match="RUN_FOLDER"):
        bundle_run(planted.path, out=planted.path)


@pytest.mark.parametrize("edition", ["internal", "regulator", "public"])
def test_provisions_that_nobody_read_stay_in_the_house(edition: str, bundles: dict[str, Path]) -> None:
    stored = json.loads((bundles[edition] / "audit.json").read_text())["clause_map"]
    kept = {row["verified"] for row in stored}
    assert kept == ({"read", "to_verify"} if edition == "internal" else {"read"})
    annex = load("en").say("clause.annex")
    assert (annex in (bundles[edition] / "report.en.html").read_text()) == (edition == "internal")
