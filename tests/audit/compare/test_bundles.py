"""Audits that were handed over without pictures: compared row by row under one key, else as wholes."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from figureground.audit.keeping import tables
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.run_folder import RunFolder, read_table
from figureground.comparing import compare_runs
from figureground.errors import IntegrityError, UsageError


def bundled(run, path, key=b"owner", without=()):
    """A run as its owner hands it over: hashes, units and ids under a key, no names of files."""

    def under(text):
        return hmac.new(key, str(text).encode(), hashlib.sha256).hexdigest()

    shutil.copytree(run, path, ignore=shutil.ignore_patterns("assets", *without))
    folder = RunFolder(path)
    (path / "COMPLETE.json").unlink()
    for name in ("examples", "strata", "predictions", "attributions"):
        file = next(path.rglob(f"{name}.parquet"), None) or next((path / name).glob("*.parquet"), None)
        if file is None:
            continue
        frame = read_table(path, name)
        ids = [column for column in ("row_id", "donor_row_id") if column in frame]
        changed = {column: _mapped(frame[column], lambda one: int(under(one)[:15], 16)) for column in ids}
        if name == "examples":
            changed |= {column: _mapped(frame[column], under) for column in ("sha256", "mask_sha256", "cluster")}
            changed["path"] = None
        moved = frame.assign(**changed).sort_values("row_id", ignore_index=True)
        folder.write_table(file.relative_to(path).as_posix(), moved, tables.SCHEMAS[name])
    files = {file.relative_to(path).as_posix(): file_sha256(file) for file in path.rglob("*") if file.is_file()}
    listed = {"edition": "regulator", "key_id": hashlib.sha256(key).hexdigest()[:16] if key else None, "files": files}
    (path / "bundle.json").write_text(json.dumps(listed), encoding="utf-8")
    return path


def _mapped(values, of):
    return np.array([None if pd.isna(one) else of(one) for one in values.astype(object)], dtype=object)


@pytest.fixture(scope="module")
def bundles(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return tuple(bundled(runs(reliance), folder / str(reliance)) for reliance in (0.0, 0.6))


def test_two_bundles_under_one_key_say_what_the_runs_say(runs, bundles):
    handed, own = compare_runs(*bundles).document, compare_runs(runs(0.0), runs(0.6)).document
    assert handed.rows == own.rows
    assert (handed.first.kind, handed.first.edition, handed.first.key_id) == (
        "bundle",
        "regulator",
        handed.second.key_id,
    )
    for one, other in zip((*handed.cues, *handed.measures), (*own.cues, *own.measures), strict=True):
        assert one.state == other.state
        assert one.difference.model_dump() == pytest.approx(other.difference.model_dump())


@pytest.mark.parametrize(
    ("change", "reason"), [({"key": b"another"}, "other_key"), ({"key": b""}, "no_key"), (None, "run_and_bundle")]
)
def test_under_other_keys_only_wholes_are_compared(runs, bundles, tmp_path, change, reason):
    other = runs(0.6) if change is None else bundled(runs(0.6), tmp_path / "other", **change)
    found = compare_runs(bundles[0], other)
    assert (found.document.rows.how, found.document.rows.reason) == ("aggregates", reason)
    assert {item.difference.how for item in found.document.cues} == {"aggregates"}
    assert (found.cues[0].state, found.exit_code) == ("new", 1)


def test_a_bundle_without_rows_is_compared_as_a_whole(runs, bundles, tmp_path):
    bare = bundled(runs(0.6), tmp_path / "bare", without=("examples.parquet", "predictions", "strata.parquet"))
    assert compare_runs(bundles[0], bare).document.rows.reason == "no_rows"


def test_a_bundle_without_levels_is_compared_row_by_row_in_its_answers(runs, bundles, tmp_path):
    bare = bundled(runs(0.6), tmp_path / "bare", without=("strata.parquet",))
    found = compare_runs(bundles[0], bare).document
    assert [item.difference.how for item in found.measures if item.measure == "accuracy"] == ["paired"]
    assert [(item.difference.how, item.state) for item in found.cues] == [("aggregates", "new")]


@pytest.mark.parametrize("name", ["audit.json", "examples.parquet", "predictions/part-00000.parquet"])
def test_a_bundle_that_was_altered_is_refused(runs, bundles, tmp_path, name):
    altered = bundled(runs(0.6), tmp_path / "altered")
    with (altered / name).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(IntegrityError, match="RUN_ALTERED"):
        compare_runs(bundles[0], altered)


def test_a_list_that_names_files_elsewhere_is_refused(bundles, tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "bundle").mkdir()
    files = {"../secret": file_sha256(tmp_path / "secret")}
    (tmp_path / "bundle" / "bundle.json").write_text(json.dumps({"edition": "public", "key_id": None, "files": files}))
    with pytest.raises(IntegrityError, match="RUN_ALTERED"):
        compare_runs(bundles[0], tmp_path / "bundle")


def test_a_document_of_another_version_is_told(runs, bundles, tmp_path):
    other = bundled(runs(0.6), tmp_path / "other")
    (other / "audit.json").write_text("{}")
    listed = json.loads((other / "bundle.json").read_text())
    listed["files"]["audit.json"] = file_sha256(other / "audit.json")
    (other / "bundle.json").write_text(json.dumps(listed))
    with pytest.raises(UsageError, match="RUN_FORMAT"):
        compare_runs(bundles[0], other)


KEY = b"owner".ljust(32, b".")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """The owner's key, for its owner alone."""
    file = tmp_path_factory.mktemp("keys") / "audit.key"
    file.write_text(KEY.hex() + "\n")
    file.chmod(0o600)
    return file


@pytest.fixture(scope="module")
def under_the_key(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("under-the-key")
    return {reliance: bundled(runs(reliance), folder / str(reliance), key=KEY) for reliance in (0.0, 0.6)}


@pytest.mark.parametrize("turned", [False, True])
def test_a_run_and_a_bundle_under_its_owners_key_say_what_two_runs_say(runs, under_the_key, key_file, turned):
    pair = (under_the_key[0.0], runs(0.6)) if turned else (runs(0.0), under_the_key[0.6])
    found, own = compare_runs(*pair, key_file=key_file).document, compare_runs(runs(0.0), runs(0.6)).document
    assert found.rows == own.rows
    assert found.rows.how == "paired"
    assert found.rows.common == own.rows.common > 150
    assert {found.first.key_id, found.second.key_id} == {hashlib.sha256(KEY).hexdigest()[:16]}
    for one, other in zip((*found.cues, *found.measures), (*own.cues, *own.measures), strict=True):
        assert one.state == other.state
        assert one.difference.model_dump() == pytest.approx(other.difference.model_dump())


def test_a_wrong_key_is_told_and_never_taken_for_no_rows_in_common(runs, under_the_key, tmp_path):
    other = tmp_path / "other.key"
    other.write_text("ab" * 32)
    other.chmod(0o600)
    with pytest.raises(UsageError, match="KEY_OTHER"):
        compare_runs(runs(0.0), under_the_key[0.6], key_file=other)
    with pytest.raises(UsageError, match="KEY_OTHER"):
        compare_runs(under_the_key[0.0], under_the_key[0.6], key_file=other)


def test_a_key_that_is_not_there_is_not_made(runs, under_the_key, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        compare_runs(runs(0.0), under_the_key[0.6], key_file=tmp_path / "none.key")
    assert not (tmp_path / "none.key").exists()


def test_a_key_for_two_runs_is_refused_and_one_for_a_bundle_without_key_says_so(runs, key_file, tmp_path):
    with pytest.raises(UsageError, match="leave --key-file out"):
        compare_runs(runs(0.0), runs(0.6), key_file=key_file)
    nameless = bundled(runs(0.6), tmp_path / "nameless", key=b"")
    assert compare_runs(runs(0.0), nameless, key_file=key_file).document.rows.reason == "no_key"


def test_the_command_takes_the_key(runs, under_the_key, key_file):
    from typer.testing import CliRunner

    from figureground.cli import app

    found = CliRunner().invoke(app, ["compare", str(runs(0.0)), str(under_the_key[0.6]), "--key-file", str(key_file)])
    assert found.exit_code == 1
    assert "compared row by row" in found.output
