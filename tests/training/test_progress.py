from __future__ import annotations

import io
import subprocess
import sys

import pytest
import torch
from tests.training.toy import Rows, ToyModel

from polymodal.training import (
    BarProgress,
    LineProgress,
    SilentProgress,
    TrainSettings,
    choose_progress,
    fit,
)
from polymodal.training.sums import TermSums, term_means
from polymodal.typing import Terms

SETTINGS = TrainSettings(epochs=3, batch_size=16)


def test_lines_name_epoch_loss_and_validation():
    stream = io.StringIO()
    result = fit(ToyModel(), Rows(), SETTINGS, validation=Rows(20), progress=LineProgress(stream))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("epoch 3/3  loss ")
    assert f"validation {result.history[2].validation:.4f}" in lines[2]
    assert "at most 0 s left" in lines[2]


def test_nothing_is_shown_unless_asked(capsys):
    fit(ToyModel(), Rows(), SETTINGS)
    fit(ToyModel(), Rows(), SETTINGS, progress=SilentProgress())
    assert capsys.readouterr() == ("", "")


def test_the_bar_goes_to_standard_error_and_closes(capsys):
    bar = BarProgress()
    fit(ToyModel(), Rows(), SETTINGS, validation=Rows(20), progress=bar)
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch" in err
    assert "validation" in err
    bar.close()  # closing twice does no harm


def test_the_choice_follows_the_terminal(monkeypatch):
    assert isinstance(choose_progress(False), SilentProgress)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(choose_progress(), LineProgress)


def test_a_reporter_is_closed_when_the_run_fails():
    class Fragile(SilentProgress):
        closed = False

        def epoch(self, record):
            raise OSError("no space")

        def close(self):
            self.closed = True

    fragile = Fragile()
    with pytest.raises(OSError, match="no space"):
        fit(ToyModel(), Rows(), SETTINGS, progress=fragile)
    assert fragile.closed


def test_rich_is_not_imported_with_the_loop():
    code = "import sys, polymodal.training; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_means_are_over_the_rows_that_had_the_term():
    sums, other = TermSums(), TermSums()
    sums.add(Terms(torch.tensor([1.0, 2.0]), {"kl": torch.tensor([1.0, 3.0])}))
    sums.add(Terms(torch.tensor([6.0]), {}))
    loss, parts = term_means([sums.state()])
    assert (loss, parts) == (3.0, {"kl": 2.0})
    other.restore(sums.state(), torch.device("cpu"))
    assert other.state() == sums.state()
    assert term_means([sums.state(), other.state()]) == (3.0, {"kl": 2.0})
