"""One row, and a run in short."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from figureground.errors import UsageError
from figureground.reports.showing import result_card, show_row


def test_row_shows_answers_measures_and_pictures(make_run: Any, synthetic: Any) -> None:
    view = show_row(make_run(synthetic()), 131)
    html = view._repr_html_()
    assert len(view.predictions) == 3
    assert len(view.attributions) == 2
    assert [panel.title for panel in view.panels] == ["Original, grass", "Control: grass again", "On gravel"]
    assert html.count("data:image/webp") == 3
    assert "70.0" in html


def test_probability_is_the_softmax_of_the_stored_logits(finished: Any) -> None:
    logits = np.array([0.0, 2.0])
    expected = 100 * np.exp(logits)[1] / np.exp(logits).sum()
    answers = show_row(finished, 131).tables[0].rows
    assert answers[0] == ("unchanged", "own", "pullover", f"{expected:.1f}\u202f%")


def test_row_without_pictures_says_so(finished: Any) -> None:
    view = show_row(finished, 105)
    assert view.panels == ()
    assert "No picture of this row was stored" in view._repr_html_()


def test_row_that_was_set_aside(finished: Any) -> None:
    view = show_row(finished, 900)
    assert view.status == "quarantined"
    assert view.predictions.empty
    assert "quarantined" in view._repr_html_()


def test_unknown_row_is_refused(finished: Any) -> None:
    with pytest.raises(UsageError, match="ROW_UNKNOWN"):
        show_row(finished, 1)


def test_card_is_short_and_escaped(make_run: Any, synthetic: Any) -> None:
    card = result_card(make_run(synthetic(classes=("<script>x</script>", "b"))))
    assert "1 cue declared: 1 shown by intervention" in card
    assert "<script>" not in card
    assert "&lt;script&gt;" in card
    assert "style=" not in card
    HTMLParser().feed(card)
