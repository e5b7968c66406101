"""A commitment before the run: what will be audited, as one hash; and an auditor's word that decides what is drawn.

The owner tells the commitment first; then the auditor tells the nonce; then the run is made. Whoever holds both can
compute the seed, so that neither side could have chosen the sample and the donors. It does not show that the run was
the only one: the same commitment and nonce can be run again, but they give the same draw.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from figureground.audit.declared.config import AuditConfig, canonical_sha256
from figureground.audit.rejudge import Stored
from figureground.errors import IntegrityError, UsageError

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Commitment:
    """What will be audited: SHA-256 of the policy, of the model's weights and of the manifest."""

    policy: str
    model: str | None
    manifest: str | None

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the three as canonical JSON; null where there is no manifest, or the model has no weights."""
        if self.model is None or self.manifest is None:
            return None
        return canonical_sha256({"manifest": self.manifest, "model": self.model, "policy": self.policy})

    def needed(self, where: str) -> str:
        """:attr:`sha256`; raises :class:`UsageError` where there is none."""
        if self.sha256 is None:
            raise UsageError(
                "COMMITMENT",
                where,
                found="a function without weights" if self.model is None else "data that is no manifest file",
                expected="a model with weights, and a manifest",
                fix="audit the module itself, and write the data as a manifest",
            )
        return self.sha256


def seed_of(commitment: str, nonce: str) -> int:
    """The seed of a run: 63 bits of SHA-256 over the commitment and the auditor's nonce.

    Examples
    --------
    >>> 0 <= seed_of("0" * 64, "a word") < 2**63
    True
    """
    digest = hashlib.sha256(f"figureground seed\n{commitment}\n{nonce}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def seeded(config: AuditConfig, nonce: str | None, commitment: Commitment) -> AuditConfig:
    """The settings with the seed that a nonce gives; as they are without one."""
    if nonce is None:
        return config
    if config.seed:
        raise UsageError(
            "NONCE",
            "nonce",
            found=f"the seed {config.seed} beside it",
            expected="one of the two: a nonce gives the seed",
            fix="leave the seed out",
        )
    if not nonce.strip():
        raise UsageError("NONCE", "nonce", found="nothing", expected="a word of the auditor's", fix="--nonce WORD")
    return config.model_copy(update={"nonce": nonce, "seed": seed_of(commitment.needed("nonce"), nonce)})


def check_commitment(run: Path, given: str) -> str:
    """Check a sealed run against a commitment that was told before it.

    Parameters
    ----------
    run : Path
        A finished run; every file is checked against its seal.
    given : str
        The commitment, or a file that holds it.

    Returns
    -------
    str
        What was checked, in a sentence.

    Raises
    ------
    IntegrityError
        The run is of another policy, model or manifest, or its seed is not the one that its nonce gives.
    """
    told = _told(given)
    stored = Stored.open(run)
    subject, data = stored.document.subject, stored.document.data
    found = Commitment(stored.declared.sha256, subject.model_sha256, data.manifest_sha256)
    if found.sha256 != told:
        raise _differs(run, f"the commitment {found.sha256 or '(none)'}", told)
    nonce = stored.config.nonce
    if nonce is None:
        return "policy, model and manifest are those that were committed to; no nonce was given, so the seed was free"
    seed = seed_of(told, nonce)
    if seed != stored.config.seed or seed != stored.document.audit.seed:
        raise _differs(run, f"the seed {stored.config.seed}", f"{seed}, which the nonce gives")
    return f"policy, model, manifest and seed are those that the commitment and the nonce {nonce!r} give"


def _told(given: str) -> str:
    file = Path(given)
    text = file.read_text(encoding="utf-8") if len(given) < 4096 and file.is_file() else given
    found = _HASH.findall(text.lower())
    if len(set(found)) != 1:
        raise UsageError(
            "COMMITMENT",
            "commitment",
            found=f"{len(set(found))} hashes",
            expected="the 64 hexadecimal digits of `figureground policy seal`, or a file that holds them",
            fix="give the last line that it printed",
        )
    return str(found[0])


def _differs(run: Path, found: str, expected: str) -> IntegrityError:
    return IntegrityError(
        "COMMITMENT",
        str(run),
        found=found,
        expected=expected,
        fix="ask for the run that was committed to; this one is of something else",
    )
