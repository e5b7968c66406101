"""The command line in process: parse, call, print, exit code."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from figureground import __main__ as entry
from figureground.audit.classify.checkpoint import save_checkpoint
from figureground.cli import app, bars


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def checkpoint(shortcut_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "shortcut.ckpt"
    save_checkpoint(shortcut_model, path)
    return path


@pytest.fixture(scope="module")
def audited(checkpoint, audit_manifest, tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "run"
    return out, call(
        "audit", checkpoint, audit_manifest, *["--cue", "background,corner_top_left", "--cue", "sharpness"], "-o", out
    )


def test_audit_ends_with_words_the_report_and_exit_1(audited):
    out, done = audited
    assert done.exit_code == 1, done.output
    assert "background: shown by intervention" in done.output.lower() or "relies on background" in done.output.lower()
    assert "worst-group accuracy" in done.output
    assert "rows: 120 given = 120 ok + 0 set aside + 0 filtered" in done.output
    assert f"report: {out}/report.en.html" in done.output.replace("\n", "")
    assert (out / "COMPLETE.json").is_file()


def test_the_shell_and_python_give_the_same_tables(audited, shortcut_run):
    out, _ = audited
    sealed = [json.loads((path / "COMPLETE.json").read_text())["files"] for path in (out, shortcut_run.path)]
    tables = [{name: sha for name, sha in files.items() if name.endswith((".parquet", ".webp"))} for files in sealed]
    assert tables[0] == tables[1]
    assert any(name.startswith("predictions/") for name in tables[0])


def test_an_existing_folder_is_kept_unless_told(audited, checkpoint, audit_manifest, capsys, monkeypatch):
    out, _ = audited
    monkeypatch.setattr("sys.argv", ["figureground", "audit", str(checkpoint), str(audit_manifest), "-o", str(out)])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("RUN_EXISTS")


def test_report_renders_again_to_the_same_bytes(audited, tmp_path):
    out, _ = audited
    done = call("report", out, "-o", tmp_path / "again.html")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "again.html").read_bytes() == (out / "report.en.html").read_bytes()


def test_report_refuses_altered_evidence(audited, tmp_path, monkeypatch, capsys):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(audited[0], copy)
    text = (copy / "audit.json").read_text()
    (copy / "audit.json").write_text(text.replace("demonstrated", "not_detected", 1))
    monkeypatch.setattr("sys.argv", ["figureground", "report", str(copy)])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 6
    assert "RUN_ALTERED" in capsys.readouterr().err


def test_judge_asks_a_real_run_again_and_keeps_what_was_measured(audited, tmp_path):
    out, again = audited[0], tmp_path / "again"
    done = call("judge", out, "--by", "object", "-o", again, "--lang", "en,fr")
    assert done.exit_code == 1, done.output
    assert f"report: {again}/report.en.htmlreport: {again}/report.fr.html" in done.output.replace("\n", "")
    assert "Aller aux constats" in (again / "report.fr.html").read_text(encoding="utf-8")
    before, after = (json.loads((path / "audit.json").read_text()) for path in (out, again))
    for told in (before, after):  # counts the intervals of all groups, the new ones too
        told["trust"] = [check for check in told["trust"] if check["check"] != "share_intervals"]
    same = ("subject", "verdict", "trust", "performance", "assets", "software", "policy", "deviations")
    kept = {key: before[key] == after[key] for key in same if key != "performance"}
    assert kept == dict.fromkeys(kept, True)
    assert before["audit"]["cost"] == after["audit"]["cost"]
    assert before["performance"]["worst_group"] == after["performance"]["worst_group"]
    assert {group["attribute"]: group["origin"] for group in after["data"]["groups"]}["object"] == "exploratory"
    sealed = [json.loads((path / "COMPLETE.json").read_text())["files"] for path in (out, again)]
    assert {name: sealed[1].get(name) for name in sealed[0] if name.startswith(("assets/", "gallery"))} == {
        name: digest for name, digest in sealed[0].items() if name.startswith(("assets/", "gallery"))
    }
    causal = ("donor_contrast", "specific", "control", "replication_a", "replication_b", "held", "placebo")
    tests = [pd.read_parquet(path / "tests.parquet") for path in (out, again)]
    pd.testing.assert_frame_equal(*(part[part["test"].isin(causal)].reset_index(drop=True) for part in tests))


def test_check_tells_ledger_groups_and_power(audit_manifest, checkpoint):
    done = call("check", audit_manifest, "--model", checkpoint)
    assert done.exit_code == 0, done.output
    assert "rows: 120 given = 120 ok" in done.output
    assert "subgroups by lighting: bright, dim" in done.output
    assert "no subgroups by object: the same partition as label" in done.output
    assert "probe gradient_nonzero: passed" in done.output
    assert "causal test of the background: by environment" in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "{empty}"], 2, "MANIFEST_MISSING"),
        (["check", "{bad}"], 2, "MANIFEST_COLUMN"),
        (["audit", "{model}", "{data}", "-o", "{out}", "--cue", "smell"], 2, "CUE_UNKNOWN"),
        (["audit", "{model}", "{data}", "-o", "{out}", "--by", "nowhere"], 2, "SUBGROUP"),
        (["audit", "{model}", "{data}", "-o", "{out}", "--column", "label=nowhere"], 2, "MANIFEST_COLUMN"),
        (["audit", "{bad}", "{data}", "-o", "{out}"], 4, "fix:"),
        (["audit", "{model}", "{data}", "-o", "{out}", "--layer", "nowhere"], 2, "LAYER_UNKNOWN"),
        (["report", "{empty}"], 2, "RUN_INCOMPLETE"),
    ],
)
def test_every_refusal_is_one_line_with_its_code(
    arguments, code, words, checkpoint, audit_manifest, tmp_path, monkeypatch, capsys
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("picture,kind\na.png,coat\n")
    places = {
        "empty": tmp_path / "empty",
        "bad": tmp_path / "bad.csv",
        "model": checkpoint,
        "data": audit_manifest,
        "out": tmp_path / "run",
    }
    monkeypatch.setattr("sys.argv", ["figureground", *(argument.format(**places) for argument in arguments)])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    told = capsys.readouterr().err
    assert stop.value.code == code, told
    assert words in told
    assert "Traceback" not in told
    before = ("━", "Expected: about ")  # bars of what was done before, and the time expected
    lines = [line for line in told.strip().splitlines() if not any(mark in line for mark in before)]
    assert len(lines) == 1


def test_train_writes_a_checkpoint_that_check_understands(audit_manifest, tmp_path):
    out = tmp_path / "model.ckpt"
    done = call("train", audit_manifest, "-o", out, "--epochs", "1", "--split", "test")
    assert done.exit_code == 0, done.output
    assert out.is_file()
    assert call("check", audit_manifest, "--model", out).exit_code == 0


def test_a_message_without_steps_is_one_whole_line(capsys):
    words = "Expected: about 12 min to measure 900 images; " + "and much more than fits on one line of a terminal " * 3
    with bars(words, 0) as advance:
        advance(1)
    assert capsys.readouterr().err.splitlines() == [words]
