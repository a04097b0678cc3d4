from __future__ import annotations

import dataclasses
import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.training.toy import Rows, ToyModel, assert_same, weights, without_seconds
from torch import nn

from polymodal.training import TrainSettings, fit
from polymodal.training.optimiser import Adam
from polymodal.training.progress import SilentProgress
from polymodal.typing import Terms

ROOT = Path(__file__).parents[2]
SHORT = TrainSettings(epochs=4, batch_size=16, learning_rate=0.02, seed=7)
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    "OMP_NUM_THREADS": "1",
}


def run_program(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_loss_falls_and_the_record_is_the_mean_over_rows():
    model, rows = ToyModel(noise=0.0), Rows(50)
    frozen = TrainSettings(epochs=1, batch_size=16, learning_rate=1e-12)
    with torch.no_grad():
        terms = model.loss(rows.x, rows.present, 0)
    once = fit(model, rows, frozen)
    assert once.reason == "The one epoch is done."
    record = once.history[0]
    assert record.loss == pytest.approx(terms.loss.mean().item(), rel=1e-5)
    assert record.parts["kl"] == pytest.approx(terms.parts["kl"].mean().item(), rel=1e-5)
    assert record.step == 4
    result = fit(model, rows, SHORT)
    assert result.status == "finished"
    assert result.reason == "All 4 epochs are done."
    assert result.best_epoch == 3
    assert result.history[-1].loss < record.loss


def test_same_seed_same_result_bit_for_bit():
    models = [ToyModel(), ToyModel(), ToyModel()]
    results = []
    for seed, model in zip((7, 7, 8), models, strict=True):
        torch.manual_seed(seed + len(results))  # the caller's seed is of no consequence
        settings = TrainSettings(epochs=3, batch_size=16, seed=seed)
        results.append(fit(model, Rows(), settings, validation=Rows(20)))
    assert_same(weights(models[0]), weights(models[1]))
    assert without_seconds(results[0].history) == without_seconds(results[1].history)
    assert not torch.equal(models[0].decoders[0].weight, models[2].decoders[0].weight)


def test_every_step_has_draws_of_its_own():
    seen = []

    class Drawing(ToyModel):
        def loss(self, x, present, step):
            seen.append(torch.rand(()).item())
            return super().loss(x, present, step)

    fit(Drawing(), Rows(), SHORT)
    assert len(set(seen)) == len(seen) == 16


class Failing(ToyModel):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self._error = error

    def loss(self, x, present, step):
        if step == 5:
            raise self._error("planned")
        return super().loss(x, present, step)


def test_the_callers_random_state_is_left_as_it_was():
    before = torch.get_rng_state()
    fit(ToyModel(), Rows(), SHORT, validation=Rows(20))
    assert torch.equal(before, torch.get_rng_state())
    for error in (ValueError, KeyError, KeyboardInterrupt):
        with pytest.raises(error, match="planned"):
            fit(Failing(error), Rows(), SHORT)
        assert torch.equal(before, torch.get_rng_state())


def test_a_killed_and_resumed_run_ends_in_the_same_weights(tmp_path):
    told = json.loads(run_program("tests/training/killed_run.py", tmp_path, 1).splitlines()[-1])
    assert told["same"]
    assert len(told["positions"]) >= 3
    assert any(batch % 7 for _, batch, _ in told["positions"])  # in the midst of an epoch


def test_a_resumed_run_goes_on_from_the_current_weights_not_the_best(tmp_path):
    """The best validation is at the first epoch here, so best and current weights differ."""
    rate = {"learning_rate": 0.5, "batch_size": 16, "final_learning_rate": 1.0, "seed": 2}
    whole, parted = ToyModel(), ToyModel()
    far = Rows(20)
    far.x["a"] = -far.x["a"]  # what is learned makes the held-out rows ever less likely
    fit(whole, Rows(), TrainSettings(epochs=6, **rate), validation=far, run_dir=tmp_path / "w")
    for epochs in (3, 6):
        result = fit(
            parted,
            Rows(),
            TrainSettings(epochs=epochs, **rate),
            validation=far,
            run_dir=tmp_path / "p",
            resume=True,
        )
        parted = ToyModel() if epochs == 3 else parted
    assert result.best_epoch is not None
    assert result.best_epoch < 3
    assert_same(weights(whole), weights(parted))
    for name, tensor in load_file(tmp_path / "w" / "checkpoint.safetensors").items():
        other = load_file(tmp_path / "p" / "checkpoint.safetensors")[name]
        assert torch.equal(tensor, other), name


def test_two_processes_end_where_one_does(tmp_path):
    run_program(
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "tests/training/two_processes.py",
        tmp_path,
    )
    model = ToyModel(noise=0.0, dtype=torch.float64)
    settings = TrainSettings(epochs=3, batch_size=8, learning_rate=0.02, clip_norm=0.5, seed=4)
    result = fit(model, Rows(33, torch.float64), settings, validation=Rows(20, torch.float64))
    first, second = (load_file(tmp_path / f"{rank}.st") for rank in (0, 1))
    assert_same(first, second)
    torch.testing.assert_close(
        first.pop("losses"), torch.tensor([r.loss for r in result.history]).double()
    )
    # The draws of the validation are the same; only the order of the sum differs.
    torch.testing.assert_close(
        first.pop("scores"), torch.tensor([r.validation for r in result.history]).double()
    )
    for name, tensor in weights(model).items():
        torch.testing.assert_close(first[name], tensor, rtol=1e-6, atol=1e-6)


class Interrupting(ToyModel):
    def loss(self, x, present, step):
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(x, present, step)


def test_ctrl_c_writes_a_checkpoint_and_the_resumed_run_is_exact(tmp_path):
    before, handler = torch.get_rng_state(), signal.getsignal(signal.SIGINT)
    result = fit(Interrupting(), Rows(), SHORT, run_dir=tmp_path)
    assert result.status == "interrupted"
    assert "step 6 of epoch 2" in result.reason
    assert torch.equal(before, torch.get_rng_state())
    assert signal.getsignal(signal.SIGINT) is handler
    parted, whole = ToyModel(), ToyModel()
    resumed = fit(parted, Rows(), SHORT, run_dir=tmp_path, resume=True)
    at_once = fit(whole, Rows(), SHORT)
    assert_same(weights(parted), weights(whole))
    assert without_seconds(resumed.history) == without_seconds(at_once.history)
    again = fit(ToyModel(), Rows(), SHORT, run_dir=tmp_path, resume=True)
    assert again.status == "finished"
    assert without_seconds(again.history) == without_seconds(at_once.history)


def test_ctrl_c_without_a_directory_is_raised():
    # A shell's background jobs start with SIGINT ignored, and the tests may be one of them.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = torch.get_rng_state()
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(Interrupting(), Rows(), SHORT)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert torch.equal(before, torch.get_rng_state())


def test_memory_is_flat_over_a_thousand_steps():
    taken, pages = [], Path("/proc/self/statm")

    class Watch(SilentProgress):
        def step(self, epoch, step, loss):
            if step in (90, 990):  # both in the midst of an epoch
                gc.collect()
                objects = gc.get_objects()
                tensors = sum(issubclass(type(thing), torch.Tensor) for thing in objects)
                resident = int(pages.read_text().split()[1]) * 4096 if pages.exists() else 0
                taken.append((tensors, len(objects), resident))

    settings = TrainSettings(epochs=20, batch_size=1, average=0.99)
    fit(ToyModel(), Rows(50), settings, validation=Rows(8), progress=Watch())
    (tensors, objects, resident), (tensors_later, objects_later, resident_later) = taken
    assert tensors_later == tensors
    assert objects_later - objects < 300  # the records of eighteen epochs
    assert resident_later - resident < 4_000_000


def test_patience_stops_and_the_best_weights_are_back():
    far = Rows(20)
    far.x["a"] = -far.x["a"]
    settings = TrainSettings(
        epochs=60, batch_size=16, learning_rate=0.1, patience=3, patience_steps=0
    )
    kept = {}

    class Note(SilentProgress):
        def epoch(self, record):
            kept[record.epoch] = record

    model = ToyModel()
    result = fit(model, Rows(), settings, validation=far, progress=Note())
    assert result.status == "early_stopped"
    assert len(result.history) == result.best_epoch + 1 + 3
    assert "has not risen for 3 epochs;" in result.reason
    hasty = dataclasses.replace(settings, patience=1)
    assert "risen for 1 epoch;" in fit(ToyModel(), Rows(), hasty, validation=far).reason
    longer = dataclasses.replace(settings, patience_steps=30)  # 4 steps an epoch: 8 epochs
    assert (
        len(fit(ToyModel(), Rows(), longer, validation=far).history) == result.best_epoch + 1 + 8
    )
    best = max(result.history, key=lambda record: record.validation)
    assert best.epoch == result.best_epoch
    assert [*kept] == [record.epoch for record in result.history]
    short = ToyModel()  # without a decay over epochs, the best weights are those of a shorter run
    flat = {"batch_size": 16, "learning_rate": 0.1, "final_learning_rate": 1.0}
    result = fit(model := ToyModel(), Rows(), TrainSettings(epochs=9, **flat), validation=far)
    fit(short, Rows(), TrainSettings(epochs=result.best_epoch + 1, **flat))
    assert_same(weights(model), weights(short))


def test_bf16_trains_and_the_weights_stay_in_float32():
    model = ToyModel()
    result = fit(model, Rows(), TrainSettings(epochs=6, learning_rate=0.02, precision="bf16"))
    assert result.history[-1].loss < result.history[0].loss
    assert {tensor.dtype for tensor in weights(model).values()} == {torch.float32}


def test_the_average_is_what_is_validated_and_kept():
    """With a decay near 0 the average is the newest weights; with a high one it is not."""
    flat = {"epochs": 3, "batch_size": 16, "seed": 1, "learning_rate": 0.02}
    live, near, slow = ToyModel(), ToyModel(), ToyModel()
    fit(live, Rows(), TrainSettings(**flat))
    fit(near, Rows(), TrainSettings(**flat, average=1e-9))
    fit(slow, Rows(), TrainSettings(**flat, average=0.9))
    for name, tensor in weights(live).items():
        torch.testing.assert_close(weights(near)[name], tensor)
    assert not torch.allclose(slow.decoders[0].weight, live.decoders[0].weight)


class OneGradient(ToyModel):
    """A loss whose gradient is known: 3 for one weight, 4 for the other."""

    names = ()

    def __init__(self) -> None:
        super().__init__()
        del self.encoders, self.decoders, self.unused
        self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.seen: list[float] = []
        self.w.register_post_accumulate_grad_hook(lambda p: self.seen.append(p.grad.norm().item()))

    def loss(self, x, present, step):
        slope = torch.tensor([3.0, 4.0], dtype=torch.float64)
        return Terms((self.w * slope).sum().expand(len(x["a"])), {})


def test_clipping_comes_after_backward(monkeypatch):
    lengths = []
    step = Adam.step

    def spy(self, *args):
        lengths.append(self.leaves[0].grad.norm().item())
        return step(self, *args)

    monkeypatch.setattr(Adam, "step", spy)
    model = OneGradient()
    fit(model, Rows(20), TrainSettings(epochs=1, batch_size=8, clip_norm=0.5))
    assert model.seen == pytest.approx([5.0] * 3)
    assert lengths == pytest.approx([0.5] * 3)
    lengths.clear()
    fit(OneGradient(), Rows(20), TrainSettings(epochs=1, batch_size=8, clip_norm=None))
    assert lengths == pytest.approx([5.0] * 3)


def test_empty_sources_and_models_without_weights_are_refused():
    with pytest.raises(ValueError, match="training source has no rows"):
        fit(ToyModel(), Rows(0), SHORT)
    with pytest.raises(ValueError, match="validation source has no rows"):
        fit(ToyModel(), Rows(5), SHORT, validation=Rows(0))
    with pytest.raises(ValueError, match="no weights"):
        fit(ToyModel().requires_grad_(False), Rows(5), SHORT)
    with pytest.raises(ValueError, match="needs the run_dir"):
        fit(ToyModel(), Rows(5), SHORT, resume=True)
