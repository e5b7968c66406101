"""Fuzz the policy file: TOML and JSON, from bytes to the hash of what was declared.

    python benchmarks/fuzz/configuration.py -max_total_time=600

The first byte says which of the two the rest is.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

from figureground.audit.declared.config import load_policy
from figureground.audit.declared.policy_file import EXAMPLE_TARGET, policy_toml

_TARGET = {"target": dict(EXAMPLE_TARGET), "thresholds": {"a": 0.5}, "subgroups": ["site", "site*sex"]}
_DECISION = """[[decision]]
finding = "background"
decision = "accepted"
reason = "known"
by = "A. Person"
expires = 2027-01-31
"""


def target(data: bytes, folder: Path) -> None:
    """Read a policy and hash it, as an audit does before the first image."""
    path = folder / ("policy.toml" if data[:1] == b"T" else "policy.json")
    path.write_bytes(data[1:])
    policy = load_policy(path)
    assert len(policy.sha256) == 64


def seeds() -> dict[str, bytes]:
    """Policies with all fields, with a target, with decisions, and some that are refused."""
    return {
        "all": b"T" + policy_toml().encode(),
        "decision": b"T" + _DECISION.encode(),
        "short": b'Talpha = 0.01\nrequired_cues = ["border"]\n[consequence]\nborder = "high"\n',
        "unknown": b"Talhpa = 0.01\n",
        "json": b"J" + json.dumps(_TARGET).encode(),
        "list": b"J[1, 2]",
        "empty": b"J{}",
        "infinite": b'J{"delta_material_log_odds": Infinity}',
    }


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("running.py")))["run"](target, seeds(), sys.argv)
