"""Evaluation on the rows of the fit: only what was held out is judged."""

from __future__ import annotations

import pytest
from tests.estimator.cases import frame, tiny

import polymodal as pm

WHOLE = pm.read(frame(60))


def test_on_the_data_of_the_fit_only_held_out_rows_are_judged() -> None:
    model = pm.MultimodalModel(**tiny()).fit(WHOLE)
    told = model.evaluate(WHOLE, draws=20)
    alone = model.evaluate(WHOLE[model.held_out_], draws=20)
    assert "only the 6 of them" in told.notes[0]
    assert told.notes[0] in told.verdict
    assert "On 6 held-out rows" in told.verdict
    assert told.rows == alone.rows
    assert not any("those of the fit" in note for note in alone.notes)


def test_the_rows_that_were_trained_on_are_refused() -> None:
    train, test = WHOLE[:40], WHOLE[40:]
    model = pm.MultimodalModel(**tiny()).fit(train, validation=test)
    with pytest.raises(ValueError, match="pass rows that were not trained on"):
        model.evaluate(train, draws=20)
    assert "On 20 held-out rows" in model.evaluate(test, draws=20).verdict
    assert model.evaluate(train, train=train, draws=20).rows
