"""Tables of a run with a known reliance, made without a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from figureground.audit.clauses.mapping import clause_map
from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.task import Task
from figureground.audit.document import audit_json as document
from figureground.audit.judge.evidenced import Evidenced
from figureground.audit.judge.judging import judge_run
from figureground.audit.judge.stored import measured
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import RunFolder, _to_pandas
from figureground.audit.measure.donors import SAME_LEVEL, DonorDraw
from figureground.audit.rows.strata import StrataDraw, by_environment, by_label, usable_rows

CLASSES = ("cat", "dog")
NATIVE = {"grass": "cat", "gravel": "dog", "sand": "dog"}


def stored(frame, schema):
    """As a table comes back from a run folder, with its nullable integers."""
    return _to_pandas(tables.conform(frame, schema))


def made_examples(n=120, levels=("grass", "gravel"), seed=0, per_cluster=1, environment=True):
    rng = np.random.default_rng(seed)
    clusters = np.arange(n) // per_cluster
    frame = pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**62, n, replace=False)),
            "path": [f"{i}.png" for i in range(n)],
            "label": rng.choice(CLASSES, n),
            "split": "test",
            "cluster": [f"c{c}" for c in clusters],
            "environment": np.array(levels)[rng.integers(0, len(levels), n)] if environment else None,
            "object_area": 0.2,
            "sha256": "x",
            "status": "ok",
            "reason": None,
            "site": rng.choice(["A", "B"], n),
        }
    )
    frame.loc[1, ["status", "reason", "object_area"]] = ["quarantined", "image_broken", np.nan]
    return stored(frame, tables.EXAMPLES)


def made_strata(examples, seed=0, subsample=500):
    """The table ``strata``, by environment where there is one."""
    named = by_environment(examples)
    source = "label" if named is None else "environment"
    frame = StrataDraw(subsample, seed)(by_label(examples) if named is None else named, source)
    return stored(frame, tables.STRATA)


def made_predictions(examples, reliance=0.6, accuracy=0.95, seed=0):
    """A model that answers by the background in a share ``reliance`` of the images, else by the label."""
    rng = np.random.default_rng(seed)
    look = examples.set_index("row_id")
    usable = examples[examples["status"] == "ok"]
    follows = dict(zip(examples["row_id"], rng.random(len(examples)) < reliance, strict=True))
    wrong = dict(zip(examples["row_id"], rng.random(len(examples)) > accuracy, strict=True))
    lines: list[dict[str, object]] = []

    def answer(row, level, **keys):
        named = NATIVE.get(level, level) if follows[row] else look.loc[row, "label"]
        best = CLASSES.index(named) ^ int(wrong[row] and not follows[row])
        logits = rng.normal(0, 0.1, 2)
        logits[best] += 3
        lines.append(
            {
                "row_id": row,
                "dose": 1.0,
                "logits": logits,
                "logsumexp": logsumexp(logits),
                "predicted": best,
                "status": "ok",
                **keys,
            }
        )

    stratum = "environment" if examples["environment"].notna().any() else "label"
    for row in usable["row_id"]:
        answer(row, look.loc[row, stratum], cue="none", intervention="none", arm="own", **{"pass": 0})
    rows = usable_rows(examples).merge(made_strata(examples), on="row_id")
    plan = DonorDraw(passes=2)(rows[rows["masked"]])
    for drawn in plan.to_dict("records"):
        row, own, arm = drawn["row_id"], drawn["stratum"], drawn["arm"]
        keys = {"cue": "background", "pass": drawn["pass"], "donor_row_id": drawn["donor_row_id"]}
        if arm == SAME_LEVEL:
            answer(row, own, intervention="same_level", arm=own, **keys)
        else:
            answer(row, arm, intervention="swap", arm=arm, **keys)
            answer(row, own, intervention="control", arm=arm, **keys)
    for row in plan["row_id"].unique():
        answer(row, look.loc[row, stratum], cue="background", intervention="reference", arm="own", **{"pass": 0})
    # dtype object: a null among donors would turn 63-bit ids into floats
    return stored(pd.DataFrame(lines, dtype=object), tables.PREDICTIONS), plan


@pytest.fixture(scope="session")
def make():
    """Examples, predictions and plan of a run."""

    def build(reliance=0.6, accuracy=0.95, change=lambda table: table, **examples):
        table = change(made_examples(**examples))
        return table, *made_predictions(table, reliance, accuracy)

    return build


@pytest.fixture(scope="session")
def strata_of():
    """The table ``strata`` of examples."""
    return made_strata


def made_maps(examples):
    """Attributions without preference, for two methods."""
    usable = examples.loc[examples["status"] == "ok", "row_id"]
    values = np.random.default_rng(0).uniform(0.2, 0.8, len(usable))
    measures = dict.fromkeys(["background_share", "background_area", "bleed_floor", "ldr"], values)
    keys = (("saliency", "absolute"), ("gradcam", "positive"))
    maps = [pd.DataFrame({"row_id": usable, "method": m, "sign": s, "status": "ok", **measures}) for m, s in keys]
    return stored(pd.concat(maps, ignore_index=True), tables.ATTRIBUTIONS)


def evidence(examples, predictions, *, policy=None, config=None, cues=("background",), checks=(), strata=None):
    """What an audit would hand to the judge."""
    return Evidenced(
        examples=examples,
        attributions=made_maps(examples),
        predictions=predictions,
        strata=made_strata(examples) if strata is None else strata,
        scores=stored(pd.DataFrame(columns=tables.SCORES.names), tables.SCORES),
        attributes=("site",),
        clusters_given=True,
        task=Task("multiclass", CLASSES),
        cues=cues,
        config=config or AuditConfig(),
        policy=policy or Policy(),
        checks=list(checks),
        source={"source": "manifest", "manifest_sha256": None},
        preprocessing_source="model",
        areas={"border": 0.12},
    )


def write_sealed(path, found, *, model_sha256="m" * 64, classes=CLASSES):
    """The sealed folder that an audit would leave, without a model."""
    folder, judgement = RunFolder.create(path), judge_run(found)
    folder.write_json("config.json", found.config.model_dump(mode="json"))
    decisions = found.policy.model_dump(mode="json", include={"decision"})
    folder.write_json("policy.json", {**found.policy.declared, **decisions, "sha256": found.policy.sha256})
    folder.write_json("measured.json", measured(found))
    for name in ("examples", "strata", "scores"):
        folder.write_table(f"{name}.parquet", getattr(found, name), tables.SCHEMAS[name])
    for name in ("attributions", "predictions"):
        folder.write_table(f"{name}/part-00000.parquet", getattr(found, name), tables.SCHEMAS[name])
    folder.write_table("subgroups.parquet", judgement.subgroups, tables.SUBGROUPS)
    folder.write_table("tests.parquet", judgement.tests, tables.TESTS)
    folder.write_table("gallery.parquet", pd.DataFrame(), tables.GALLERY)
    folder.new_file("assets/picture.webp").write_bytes(b"a picture")
    tool = document.Tool(name="figureground", version="0")
    stage = document.StageCost(stage="background", images=119, forward_equivalents=800.0)
    whole = document.AuditDocument(
        audit=document.Audit(
            id="0123456789abcdef",
            started="2026-11-20T09:00:00Z",
            ended="2026-11-20T09:10:00Z",
            tool=tool,
            seed=0,
            cost=document.Cost(per_image=7.0, images=119, stages=[stage]),
        ),
        subject=document.Subject(
            model_sha256=model_sha256,
            architecture="made up",
            classes=list(classes),
            preprocessing={},
            preprocessing_source="model",
            target_layer=None,
            layer_source=None,
            code_executed=False,
        ),
        policy={**found.policy.declared, "sha256": found.policy.sha256},
        software={"torch": "0"},
        clause_map=[],
        human_inputs=[],
        assets=[],
        **judgement.parts(),
    )
    whole = whole.model_copy(update={"clause_map": clause_map(whole)})
    folder.write_json("audit.json", whole.model_dump(mode="json"))
    folder.seal()
    return path


@pytest.fixture(scope="session")
def evidence_from():
    """What an audit would hand to the judge."""
    return evidence


@pytest.fixture(scope="session")
def sealed():
    """Writes the sealed folder of a run that was made up."""
    return write_sealed
