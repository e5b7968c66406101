"""The demo is the planted truth at full size."""

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from figureground.demo import EXPECTED, run_demo


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_every_seed_shows_the_shortcut_and_does_not_accuse_its_twin(seed, tmp_path):
    found = run_demo(tmp_path, seed=seed)
    assert found.results["shortcut"].verdict.status == "demonstrated"
    assert found.results["balanced"].verdict.status in EXPECTED["balanced"]
    assert not {"demonstrated", "suspected"} & set(EXPECTED["balanced"])
    assert found.as_expected
    for name, result in found.results.items():
        assert (result.path / "COMPLETE.json").is_file()
        assert (result.path / "report.en.html").is_file()
        rows = labelled_answers(result)
        cells = rows.groupby(["environment", "label"])
        scores = {key: accuracy_score(cell["label"], cell["answer"]) for key, cell in cells}
        worst = result.document.performance.worst_group
        assert worst.accuracy.estimate <= min(scores.values()) + 1e-12, name
        assert result.document.performance.overall.estimate == pytest.approx(
            accuracy_score(rows["label"], rows["answer"])
        )


def labelled_answers(result) -> pd.DataFrame:
    base = result.predictions.query("intervention == 'none'")[["row_id", "predicted"]]
    rows = result.examples.merge(base, on="row_id")
    return rows.assign(answer=[result.document.subject.classes[index] for index in rows["predicted"]])


def test_the_demo_says_when_it_did_not_find_what_was_planted(shortcut_run):
    from figureground.demo import Demonstrated

    assert not Demonstrated({"shortcut": shortcut_run, "balanced": shortcut_run}).as_expected
