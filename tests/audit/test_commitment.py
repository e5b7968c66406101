"""What is committed to before the run, and the seed that an auditor's word gives."""

from __future__ import annotations

import hashlib
import json

import pytest

from figureground.audit.commitment import Commitment, check_commitment, seed_of, seeded
from figureground.audit.declared.config import AuditConfig, Policy
from figureground.errors import IntegrityError, UsageError
from figureground.sealing import seal_policy

WHOLE = Commitment("a" * 64, "b" * 64, "c" * 64)


def test_the_commitment_is_the_hash_of_the_three_as_canonical_json() -> None:
    text = json.dumps({"manifest": "c" * 64, "model": "b" * 64, "policy": "a" * 64}, separators=(",", ":"))
    assert WHOLE.sha256 == hashlib.sha256(text.encode()).hexdigest()
    for changed in (Commitment("d" * 64, "b" * 64, "c" * 64), Commitment("a" * 64, "d" * 64, "c" * 64)):
        assert changed.sha256 != WHOLE.sha256


def test_without_weights_or_a_manifest_there_is_none() -> None:
    assert Commitment("a", None, "c").sha256 is None
    with pytest.raises(UsageError, match="no manifest"):
        Commitment("a", "b", None).needed("data")


def test_the_seed_depends_on_the_commitment_and_on_the_word() -> None:
    seeds = {seed_of(one, word) for one in ("a" * 64, "b" * 64) for word in ("x", "y")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    config = seeded(AuditConfig(), "word", WHOLE)
    assert (config.nonce, config.seed) == ("word", seed_of(str(WHOLE.sha256), "word"))
    assert seeded(AuditConfig(seed=5), None, WHOLE) == AuditConfig(seed=5)


@pytest.mark.parametrize(("config", "nonce"), [(AuditConfig(seed=3), "word"), (AuditConfig(), " ")])
def test_a_seed_beside_a_nonce_and_an_empty_word_are_refused(config: AuditConfig, nonce: str) -> None:
    with pytest.raises(UsageError, match="NONCE"):
        seeded(config, nonce, WHOLE)


def test_a_run_is_what_was_committed_to(shortcut_run, shortcut_model, audit_manifest, tmp_path) -> None:
    told = str(seal_policy(shortcut_model, audit_manifest).sha256)
    assert shortcut_run.document.audit.commitment == told
    assert "the seed was free" in check_commitment(shortcut_run.path, told)
    (tmp_path / "told").write_text(f"{told}\n")
    assert check_commitment(shortcut_run.path, str(tmp_path / "told"))
    other = str(seal_policy(shortcut_model, audit_manifest, policy=Policy(alpha=0.01)).sha256)
    with pytest.raises(IntegrityError, match="COMMITMENT"):
        check_commitment(shortcut_run.path, other)
    with pytest.raises(UsageError, match="64 hexadecimal"):
        check_commitment(shortcut_run.path, "no hash")


@pytest.mark.slow
def test_a_run_with_a_nonce_draws_by_it_and_can_be_checked(balanced_model, audit_manifest, tmp_path) -> None:
    from figureground.api import run_audit

    told = str(seal_policy(balanced_model, audit_manifest).sha256)
    run = run_audit(
        balanced_model,
        audit_manifest,
        out=tmp_path / "run",
        nonce="a word",
        cues=["background"],
        max_images=60,
        images=False,
        report=False,
    )
    assert run.document.audit.seed == seed_of(told, "a word")
    assert "'a word'" in check_commitment(run.path, told)
    config = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps(config | {"nonce": "another"}))
    with pytest.raises(IntegrityError):  # the seal holds the word as well
        check_commitment(run.path, told)
