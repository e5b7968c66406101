"""Fixtures that more than one room needs: planted data, classifiers with a known answer, finished runs."""

import os

import pytest
from hypothesis import settings

# No test depends on how fast a machine is. On CI the examples are the same every time; elsewhere they are drawn anew.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# One thread a process: two test processes share two cores, and results must not depend on who is busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PER_LABEL_TRAIN, PER_LABEL_TEST = 240, 60


@pytest.fixture(scope="session")
def audit_manifest(tmp_path_factory):
    """120 balanced pictures with masks, environment, lighting and cluster."""
    from figureground.datasets.planted import Planted

    out = tmp_path_factory.mktemp("audit-data") / "data"
    return Planted(association=0.5, split="test", per_label=PER_LABEL_TEST).write(out)


def _trained(tmp_path_factory, association):
    from figureground.audit.classify.train import TrainConfig
    from figureground.datasets.planted import Planted
    from figureground.training import train_classifier

    out = tmp_path_factory.mktemp("train-data") / "data"
    manifest = Planted(association=association, split="train", per_label=PER_LABEL_TRAIN).write(out)
    return train_classifier(manifest, config=TrainConfig(epochs=10, patience=10))


@pytest.fixture(scope="session")
def shortcut_model(tmp_path_factory):
    """A classifier whose training pictures always had the background of their label."""
    return _trained(tmp_path_factory, 1.0)


@pytest.fixture(scope="session")
def balanced_model(tmp_path_factory):
    """A classifier whose training pictures had either background equally often."""
    return _trained(tmp_path_factory, 0.5)


@pytest.fixture(scope="session")
def shortcut_run(shortcut_model, audit_manifest, tmp_path_factory):
    """The finished audit of the shortcut model, with its report."""
    from figureground.api import run_audit

    out = tmp_path_factory.mktemp("runs") / "shortcut"
    return run_audit(shortcut_model, audit_manifest, out=out, cues=["background", "corner_top_left", "sharpness"])
