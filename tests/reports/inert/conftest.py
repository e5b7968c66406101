"""Runs in which everything that somebody can name is named like something of the corpus, ``names.json``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import html5lib
import pandas as pd
import pytest

from figureground.audit.document.audit_json import AuditDocument
from figureground.audit.keeping import tables
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import RunFolder, read_table

LONG = "long " + "\u0142\u00f6ng " * 2000
CORPUS: dict[str, str] = {
    kind: name.replace("@LONG@", LONG)
    for kind, name in json.loads(Path(__file__).with_name("names.json").read_text()).items()
}
#: Words of ours that stand where a user's name can stand as well.
OURS = {tables.ALL, tables.MISSING, "environment", "label", "own", "none", "input", "manifest", "predicted", ""}
#: Fields of documents, arguments of messages and columns of tables in which the user's own words stand.
NAMED = {
    *("architecture", "classes", "labels", "environments", "environment", "attribute", "level", "label", "finding"),
    *("class_name", "arm", "reference", "column", "positive", "group", "groups", "levels", "spec", "prefix_removed"),
    *("target_layer", "by", "value", "split", "caption_level", "predicted", "cluster", "path", "hidden_attributes"),
    *("worst", "name_of_class", "attributes", "unit", "nonce", "asked", "on", "lighting", "reading", "declared_reason"),
}
#: Fields that count the user's own words.
COUNTS = ("labels", "environments")


@dataclass
class Names:
    """Gives each word another one, always the same; ``given`` remembers which."""

    source: Callable[[int], str]
    given: dict[str, str] = field(default_factory=dict)

    def __call__(self, word: str) -> str:
        if word in OURS:
            return word
        return self.given.setdefault(word, self.source(len(self.given)))

    def within(self, value: Any, named: str = "") -> Any:
        """The value with its user's words given other names; ``named``: the field in which it stands, if it is one."""
        if isinstance(value, Mapping):
            return {
                self(k) if named in COUNTS else k: self.within(v, k if k in NAMED else "") for k, v in value.items()
            }
        if isinstance(value, list):
            return [self.within(one, named) for one in value]
        return self(value) if named and isinstance(value, str) else value

    def frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A table likewise, and its columns of attributes."""
        columns = {
            name: [self(one) if isinstance(one, str) else one for one in frame[name]] for name in frame if name in NAMED
        }
        return frame.assign(**columns)


def harmless(at: int) -> str:
    """A name that means nothing to anybody."""
    return f"name{at:04d}"


def corpus_from(offset: int) -> Callable[[int], str]:
    """The names of the corpus one after the other, beginning at one of them; a second round tells itself apart."""
    found = list(CORPUS.values())

    def named(at: int) -> str:
        turn, place = divmod(at, len(found))
        return found[(place + offset) % len(found)] + (f" {turn}" if turn else "")

    return named


def all_at_once(at: int) -> str:
    """Every name of the corpus in one."""
    return f"{at} " + " ".join(name for kind, name in CORPUS.items() if kind != "long")


def filled(document: dict[str, Any], names: Names) -> dict[str, Any]:
    """The document with the fields filled in that a plain run leaves empty."""
    subject = {"spec": "given spec", "prefix_removed": "given prefix", "target_layer": "given layer"}
    reason = names("given reason")
    decision = {
        "decision": "disputed",
        "reason": reason,
        "by": "given person",
        "expires": "2099-01-01",
        "active": True,
    }
    args = {
        "attribute": "given attribute",
        "level": "given level",
        "label": "given label",
        "accuracy": 0.5,
        "overall": 0.7,
    }
    worst = {"id": "worst", "cue": None, "status": None, "message": {"key": "worst_group", "args": args}}
    first, *others = document["findings"]
    shares = {names("ground"): {names("grass"): 0.4, names("given share"): 0.6}, names("given column"): {"a": 1.0}}
    return {
        **document,
        "subject": {**document["subject"], **subject},
        "findings": [{**first, "decision": decision}, *others, {**worst, "id": names("given id")}],
        "human_inputs": [
            {**one, "value": f"given value {at}", "by": f"given by {at}", "at": "2026-11-28", "shares": shares}
            for at, one in enumerate(document["human_inputs"])
        ],
        "not_tested": [
            *document["not_tested"],
            *(
                {"subject": names(f"given subject {at}"), "reason": reason, "finding": None}
                for at in range(len(CORPUS))
            ),
            {"subject": f"region:{names('given region')}", "reason": "no_masks", "finding": None},
        ],
        "data": {
            **document["data"],
            "not_used": [{"column": "given column", "reason": f"one level only: {names('given cell')}"}],
            "split": "given split",
        },
    }


def renamed(source: Path, out: Path, names: Names) -> AuditResult:
    """A copy of a run, sealed anew, in which everything has the name that it is given."""
    run = RunFolder.create(out)
    for name in ("config.json", "policy.json"):
        run.write_json(name, json.loads((source / name).read_text()))
    for name, schema in tables.SCHEMAS.items():
        frame = names.frame(read_table(source, name))
        if (source / name).is_dir():
            run.write_table(f"{name}/part-00000.parquet", frame, schema)
        elif (source / f"{name}.parquet").is_file():
            run.write_table(f"{name}.parquet", frame, schema)
    for file in sorted((source / "assets").glob("*")):
        run.write_bytes(f"assets/{file.name}", file.read_bytes())
    stored = filled(json.loads((source / "audit.json").read_text()), names)
    run.write_json("audit.json", AuditDocument.model_validate(names.within(stored)).model_dump(mode="json"))
    run.seal()
    return AuditResult(out)


NamedRun = Callable[..., AuditResult]


@pytest.fixture(scope="session")
def bare_run(synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain run with a verdict, and hardly a chart."""
    made: AuditResult = synthetic.without_evidence().write(tmp_path_factory.mktemp("bare") / "run")
    return made.path


@pytest.fixture
def named_run(bare_run: Path, tmp_path: Path) -> NamedRun:
    """``named_run(names, source=a run)``: a run of its own with these names, bare unless another is given."""

    def make(names: Names, source: Path = bare_run) -> AuditResult:
        return renamed(source, tmp_path / f"run{len(list(tmp_path.iterdir()))}", names)

    return make


@dataclass(frozen=True)
class Corpus:
    """What the tests of this folder share."""

    names: Mapping[str, str]
    harmless: Callable[[int], str]
    beginning: Callable[[int], Callable[[int], str]]
    all_at_once: Callable[[int], str]

    @staticmethod
    def named(source: Callable[[int], str]) -> Names:
        """Names that are given one after the other."""
        return Names(source)

    @staticmethod
    def skeleton(page: str) -> Counter[tuple[str, ...]]:
        """Every element of a page by its way from the root, with the names of its attributes; words are left out."""
        root = html5lib.parse(page, namespaceHTMLElements=False)
        found: Counter[tuple[str, ...]] = Counter()

        def walk(element: Any, way: tuple[str, ...]) -> None:
            here = (*way, " ".join([str(element.tag), *sorted(set(element.keys()) - {"title"})]))
            found[here] += 1
            for child in element:
                walk(child, here)

        walk(root, ())
        return found


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return Corpus(CORPUS, harmless, corpus_from, all_at_once)


@pytest.fixture(scope="session")
def whole_run(synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain run with all tables, charts and pictures."""
    made: AuditResult = synthetic().write(tmp_path_factory.mktemp("whole") / "run")
    return made.path


@pytest.fixture(scope="session", params=range(0, len(CORPUS), len(CORPUS) // 4))
def hostile(request: pytest.FixtureRequest, whole_run: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """Runs with all tables, named after the corpus from one of its names on."""
    return renamed(whole_run, tmp_path_factory.mktemp("hostile") / "run", Names(corpus_from(request.param)))


@pytest.fixture(scope="session")
def renamed_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, Names], AuditResult]:
    """``renamed_run(source, names)`` for what is shared by a session."""
    return lambda source, names: renamed(source, tmp_path_factory.mktemp("renamed") / "run", names)
