"""The training loop.

A position is (seed, epoch, step): the order of an epoch's rows follows from (seed, epoch), the
draws of a step from (seed, step, rank). So a checkpoint needs no state of a loader or a generator,
and a run that was killed ends in the very weights of one that never stopped.
"""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from polymodal.model import LatentModel
from polymodal.networks.stacks import stacks_of
from polymodal.random import derive_seed
from polymodal.training.checkpoint import FILE_NAME, CheckpointError
from polymodal.training.distributed import World, join_world
from polymodal.training.divergence import Blame, agree, blame_terms, explain_failure
from polymodal.training.interrupt import StopRequest, stop_requests
from polymodal.training.memory import kept_memory
from polymodal.training.optimiser import Adam, WeightAverage, learning_rate, total_norm
from polymodal.training.progress import ProgressReporter, SilentProgress
from polymodal.training.randomness import borrowed_draws, reseed
from polymodal.training.result import Divergence, EpochRecord, Status, TrainResult
from polymodal.training.settings import TrainSettings
from polymodal.training.source import Source, to_device
from polymodal.training.stages import cumulative_shares, stage_ends
from polymodal.training.state import Recorder, TrainState, copy_weights
from polymodal.training.sums import term_means
from polymodal.training.validation import HeldOut, ValidationScore
from polymodal.typing import Terms


def fit(
    model: LatentModel,
    source: Source,
    settings: TrainSettings,
    *,
    validation: Source | None = None,
    run_dir: Path | None = None,
    resume: bool = False,
    progress: ProgressReporter | None = None,
) -> TrainResult:
    """Train ``model`` in place.

    The model ends on ``settings.device``, in evaluation mode, with the best weights by validation;
    without validation rows with the last ones; after a divergence with the last good ones. The
    caller's random state is as it was, by whatever road the run ends.

    Arguments:
        model: What is trained, in its stages; one with a closed form is fitted already.
        source: Training rows.
        settings: How.
        validation: Held-out rows for early stopping and the choice of the best weights.
        run_dir: Folder of checkpoints. With it, Ctrl-C ends the step, writes a checkpoint and
            returns; without it, Ctrl-C is raised as ever.
        resume: Go on from the checkpoint in ``run_dir``; where there is none yet, begin.
        progress: What to show; nothing when None.

    Raises:
        CheckpointError: The checkpoint cannot be used, or one is there and ``resume`` is False.
        ValueError: A source has no rows, or the model no weights to train.
    """
    if len(source) == 0 or (validation is not None and len(validation) == 0):
        raise ValueError(
            f"fit: the {'validation' if len(source) else 'training'} source has no rows."
        )
    path = None if run_dir is None else Path(run_dir) / FILE_NAME
    if path is None and resume:
        raise ValueError("fit: resume=True needs the run_dir of the run to go on with.")
    if path is not None and path.exists() and not resume:
        raise CheckpointError(
            f"{path}: a run was here; go on with resume=True, or use another directory."
        )
    world = join_world(settings.device)
    if model.closed_form:
        model.to(world.device).eval()
        return TrainResult("finished", "Solved in closed form, without epochs.", None, None, ())
    shown = progress if progress is not None and world.rank == 0 else SilentProgress()
    with (
        borrowed_draws(world.device),
        kept_memory(world.device),
        stop_requests(listen=path is not None) as stop,
        contextlib.closing(shown),
    ):
        run = _Run(model, source, settings, validation, path, world, shown, stop)
        if resume and run.recorder is not None and run.recorder.path.exists():
            run.state = run.recorder.load()
        try:
            return run.run()
        finally:
            run.optimiser.part()


class _Run:
    """One run: what it works with, and its state."""

    def __init__(
        self,
        model: LatentModel,
        source: Source,
        settings: TrainSettings,
        validation: Source | None,
        path: Path | None,
        world: World,
        progress: ProgressReporter,
        stop: StopRequest,
    ) -> None:
        self.model, self.source, self.settings = model.to(world.device), source, settings
        if world.device.type == "cuda":
            model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.world, self.progress, self.stop = world, progress, stop
        world.copy_from_first(model)
        learning = [p for p in model.parameters() if p.requires_grad]
        if not learning:
            raise ValueError("fit: the model has no weights that require a gradient.")
        self.optimiser = Adam(learning, settings)
        self.average = None if settings.average is None else WeightAverage(model, settings.average)
        self.loss = torch.compile(model.loss) if settings.compile else model.loss
        self.n_batches = math.ceil(len(source) / settings.batch_size)
        self.stage_ends = stage_ends(model.stages, settings.epochs)
        self.held_out = None
        if validation is not None:
            self.held_out = HeldOut(
                validation,
                tuple(model.names),
                seed=settings.seed,
                batch_size=settings.batch_size,
                world=world,
            )
        self.state = TrainState()
        self.initial = copy_weights(model)
        self.recorder = None
        if path is not None:
            self.recorder = Recorder(
                path, model, self.optimiser, self.average, settings, len(source), world
            )
        self.clock = time.monotonic()

    def run(self) -> TrainResult:
        """Epoch after epoch, until the last, or until something ends the run."""
        self.model.train()
        self._enter(self.state.stage)
        self.progress.start(self.settings.epochs, self.n_batches, self.state.step)
        self.clock = time.monotonic()
        while True:
            self._enter_next_stage()
            ended = self._ended()
            if ended is not None:
                return self._finish(*ended)
            stopped = self._epoch()
            if isinstance(stopped, Divergence):
                return self._finish("diverged", stopped.message, stopped)
            if stopped:
                where = f"step {self.state.step} of epoch {self.state.epoch + 1}"
                return self._finish("interrupted", f"Stopped on request after {where}.")

    @property
    def _last_stage(self) -> bool:
        return self.state.stage == len(self.stage_ends) - 1

    def _enter_next_stage(self) -> None:
        """Go on to the next stage where this one's epochs, or its share of the time, are over."""
        state, limit = self.state, self.settings.max_seconds
        if self._last_stage or state.batch or state.epoch == state.stage_start:
            return
        spent = sum(past.seconds for past in state.history)
        share = cumulative_shares(self.model.stages)[state.stage]
        if state.epoch >= self.stage_ends[state.stage] or (
            limit is not None and spent >= share * limit
        ):
            state.stage, state.stage_start = state.stage + 1, state.epoch
            self._enter(state.stage)

    def _enter(self, stage: int) -> None:
        """Begin a stage; what learns in it and is read stacked is joined."""
        self.model.enter(stage)
        # A compiled loss stacks the weights as it finds best.
        self.optimiser.join(() if self.settings.compile else stacks_of(self.model))

    def _ended(self) -> tuple[Status, str] | None:
        state, patience = self.state, self.settings.patience
        if state.epoch >= self.settings.epochs:
            n = self.settings.epochs
            return "finished", f"All {n} epochs are done." if n > 1 else "The one epoch is done."
        limit, spent = self.settings.max_seconds, sum(past.seconds for past in state.history)
        # An epoch that would end beyond the limit is not begun.
        if (
            limit is not None
            and self._last_stage
            and state.history
            and spent + state.history[-1].seconds > limit
        ):
            return "early_stopped", f"The time allowed, {limit:g} s, is used up."
        if self.held_out is not None and patience is not None and self._last_stage:
            best = -1 if state.best_epoch is None else state.best_epoch
            best = max(best, state.stage_start - 1)
            waited = state.epoch - 1 - best
            enough = waited * self.n_batches >= self.settings.patience_steps
            if waited >= patience and enough:
                return (
                    "early_stopped",
                    f"The validation score has not risen for {waited} epoch{'s' * (waited > 1)}; "
                    f"the best was after epoch {best + 1}.",
                )
        return None

    def _epoch(self) -> Divergence | bool:
        """The rest of the epoch: a divergence, True if asked to stop, False if it ended."""
        state, size = self.state, self.settings.batch_size
        seed = derive_seed(self.settings.seed, state.epoch)
        order = torch.randperm(len(self.source), generator=torch.Generator().manual_seed(seed))
        for batch in range(state.batch, self.n_batches):
            result = self._step(order[batch * size : (batch + 1) * size])
            if isinstance(result, Divergence):
                return result
            loss, stop, due = result
            state.batch, state.step = batch + 1, state.step + 1
            self.progress.step(state.epoch, state.step, loss)
            if stop:
                return True
            if due and self.recorder is not None:
                self._tick()
                self.recorder.save(state)
        self._close_epoch()
        return False

    def _step(self, index: Tensor) -> Divergence | tuple[float, bool, bool]:
        """One optimiser step: the batch's mean loss, whether to stop, whether to checkpoint."""
        step, mine = self.state.step, self.world.share(index)
        self.optimiser.clear()
        due = self.recorder is not None and self.recorder.due(step)
        result = self._loss(mine) if len(mine) else Blame(None)
        if isinstance(result, Blame):
            sums = torch.tensor([math.nan if result.term else 0.0], dtype=torch.float64)
        else:
            # The gradient of the mean over the whole batch.
            result.loss.backward(torch.full_like(result.loss, 1 / len(index)))
            self.optimiser.collect()
            sums = self.state.sums.add(result)
        flags = [float(self.stop.asked), float(due)]
        if self.world.size > 1:
            sums, flags = self.world.sum_all(self.optimiser.leaves, sums, flags)
        grads = self.optimiser.gradients()
        *sums, length = torch.cat([sums, total_norm(grads).to(sums.device).reshape(1)]).tolist()
        if not all(map(math.isfinite, (*sums, length))):
            self.optimiser.spread()
            blame = result if isinstance(result, Blame) else blame_terms(result)
            return agree(self.world, self.model, blame, index, step=step, epoch=self.state.epoch)
        clip = self.settings.clip_norm
        if clip is not None and length > clip:
            torch._foreach_mul_(grads, clip / length)
        self.optimiser.step(self._learning_rate(step))
        if self.average is not None:
            self.average.update(step)
        return sums[0] / len(index), flags[0] > 0, flags[1] > 0

    def _loss(self, index: Tensor) -> Terms | Blame:
        """The terms of this process's rows, or what made them impossible."""
        x, present = self.source.gather(index)
        x, present = to_device(x, self.world.device), to_device(present, self.world.device)
        seed = derive_seed(self.settings.seed, self.state.step, self.world.rank)
        bf16 = self.settings.precision == "bf16"

        def attempt() -> Terms:
            reseed(seed, self.world.device)
            if not bf16:
                return self.loss(x, present, self.state.step)
            with torch.autocast(self.world.device.type, torch.bfloat16):
                return self.loss(x, present, self.state.step)

        try:
            return attempt()
        except (ValueError, RuntimeError) as error:
            blame = explain_failure(self.model, attempt, error)
            if blame is None:
                raise
            return blame

    def _learning_rate(self, step: int) -> float:
        """Each stage has a rise and a fall of its own."""
        begun, end = self.state.stage_start, self.stage_ends[self.state.stage]
        first = begun * self.n_batches
        return learning_rate(self.settings, step - first, (end - begun) * self.n_batches)

    def _close_epoch(self) -> None:
        """Validate, keep the better weights, write the epoch's record."""
        state, last = self.state, self.state.epoch == self.settings.epochs - 1
        loss, parts = term_means(self.world.gather(state.sums.state()))
        score: ValidationScore | None = None
        with self.average.in_place() if self.average is not None else contextlib.nullcontext():
            if self.held_out is None or not self._last_stage:
                state.keep(self.model)
            elif last or (state.epoch + 1) % self.settings.validate_every == 0:
                score = self._validate(self.held_out)
                if state.is_better(score.score):
                    state.best_score = score.score
                    state.keep(self.model)
        self._tick()
        record = EpochRecord(
            epoch=state.epoch,
            step=state.step,
            loss=loss,
            parts=parts,
            validation=None if score is None else score.score,
            validation_parts={} if score is None else score.parts,
            seconds=state.seconds,
            learning_rate=self._learning_rate(state.step - 1),
        )
        state.history.append(record)
        state.epoch, state.batch, state.seconds = state.epoch + 1, 0, 0.0
        state.sums = type(state.sums)()
        self.progress.epoch(record)

    def _validate(self, held_out: HeldOut) -> ValidationScore:
        """The score, NaN (never the best) where the model has come to inf or NaN."""

        def attempt() -> Terms:
            return Terms(torch.tensor([held_out.score(self.model).score]), {})

        try:
            return held_out.score(self.model)
        except (ValueError, RuntimeError) as error:
            if explain_failure(self.model, attempt, error) is None:
                raise
            return ValidationScore(math.nan, {}, held_out.pairs)

    def _tick(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self.clock
        self.clock = now

    def _finish(self, status: Status, reason: str, where: Divergence | None = None) -> TrainResult:
        """Write the last checkpoint, unless the run diverged; put the best weights in place."""
        state = self.state
        if where is None and self.recorder is not None:
            self._tick()
            self.recorder.save(state)
        diverged = where is not None
        state.put_back(self.model, self.average, self.initial, diverged=diverged)
        self.optimiser.clear()
        self.model.enter(len(self.stage_ends) - 1)
        self.model.eval()
        return TrainResult(status, reason, where, state.best_epoch, tuple(state.history))
