r"""The linear probe: how well a straight cut through the latent space tells the classes.

One protocol, as several that do not compare are in use: multinomial logistic regression (lbfgs,
penalty 1, at most 1,000 steps) on *means* of the posterior, as they are, of ``rows`` random
training rows; one probe for the shared block of each set of given modalities, trained and tested
given that same set, and one for each modality's private block given that modality alone. What the
private block tells of the class the shared one need not, so there a low value is the better.

It measures what a linear reader finds, not whether decoders use it. Wider latents tell more.

References:
    Thomas Sutter, Imant Daunhawer, Julia Vogt. Generalized Multimodal ELBO. ICLR 2021.
    https://arxiv.org/abs/2105.02470, section 4 (500 rows; means; a probe a subset).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.evaluate.bootstrap import bootstrap
from polymodal.evaluate.coherence import Subset
from polymodal.evaluate.exact import exact_interval, note_few, share_estimate
from polymodal.evaluate.result import Estimate, finite
from polymodal.metrics.classes import class_shares
from polymodal.model import LatentModel
from polymodal.random import derive_seed
from polymodal.tasks.blocks import layout_told
from polymodal.tasks.generate import embed
from polymodal.typing import rows_present

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ProbeRow:
    """One probe.

    Arguments:
        block: ``"shared"``, or the modality whose private block it is, or ``"all"`` where the
            model has no layout or nothing shared.
        private: Whether it is a private block.
        given: The modalities given.
        accuracy: On the test rows that have them all.
        n_train: Rows that it was trained on.
        n: Rows that it was tested on.
    """

    block: str
    private: bool
    given: Subset
    accuracy: Estimate
    n_train: int
    n: int


@dataclass(frozen=True)
class Probe:
    """How well the classes can be read off the latent space.

    Arguments:
        rows: One a block and set of given modalities.
        constant: Share of the most frequent class among the test rows.
        notes: What was not probed and why, a sentence each.
    """

    rows: list[ProbeRow]
    constant: float
    notes: list[str]

    def table(self) -> pd.DataFrame:
        """A line a probe."""
        import pandas as pd

        lines = [
            {
                "block": row.block,
                "private": row.private,
                "given": " + ".join(row.given),
                "accuracy": row.accuracy.value,
                "low": row.accuracy.low,
                "high": row.accuracy.high,
                "n_train": row.n_train,
                "n": row.n,
            }
            for row in self.rows
        ]
        columns = ["block", "private", "given", "accuracy", "low", "high", "n_train", "n"]
        return pd.DataFrame(lines, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return finite(asdict(self))

    def __str__(self) -> str:
        said = [
            f"Of the {'private block of ' * row.private}{row.block}"
            f"{'' if row.private else ' latents'} given {' + '.join(row.given)}, a linear probe "
            f"tells the class in {row.accuracy} of rows."
            for row in self.rows
        ]
        constant = f"One class for every row would get {self.constant:.3f}."
        return "\n".join([*said, constant, *self.notes])


def linear_probe(
    model: LatentModel,
    train: Tensors,
    train_labels: Tensor | np.ndarray,
    test: Tensors,
    test_labels: Tensor | np.ndarray,
    *,
    subsets: Sequence[Subset] | None = None,
    rows: int = 2000,
    resamples: int = 500,
    seed: int = 0,
) -> Probe:
    """Probe the latent space of a model.

    Arguments:
        model: The model.
        train: Rows for the probes.
        train_labels: Their classes, ``(N,)``; -1 where unknown.
        test: Rows to test on.
        test_labels: Their classes, likewise.
        subsets: The sets of given modalities; each alone, and all, when None.
        rows: Training rows of a probe, at most; drawn at random.
        resamples: Bootstrap resamples of the test rows.
        seed: Which rows and resamples follow from it.

    Raises:
        ValueError: If sizes do not fit or ``rows`` is below 2.
        Lacking: If the family does not embed.
    """
    known = torch.as_tensor(train_labels).cpu().long(), torch.as_tensor(test_labels).cpu().long()
    for source, codes in zip((train, test), known, strict=True):
        if len(source) != len(codes):
            raise ValueError(f"linear probe: {len(source)} rows, but {len(codes)} labels.")
    if rows < 2:
        raise ValueError(f"linear probe: rows must be at least 2, got {rows}.")
    every = [n for n in model.names if n in train.present and n in test.present]
    names = [n for n in every if all(bool(s.present[n].any()) for s in (train, test))]
    wanted = list(subsets or dict.fromkeys([*((name,) for name in names), tuple(names)]))
    found: list[ProbeRow] = []
    notes = [f"No training row, or no test row, has {n}, so it was not given." for n in every
             if n not in names]  # fmt: skip
    for given in wanted if names else ():
        learned = _some(_with_all(train, given, known[0]), rows, seed)
        judged = _with_all(test, given, known[1])
        y, truth = known[0][learned], known[1][judged]
        if len(y.unique()) < 2 or not len(truth):
            notes.append(f"Given {' + '.join(given)} too few rows have that and a label to probe.")
            continue
        z, asked = (
            embed(model, source.select(given).rows(index)).cpu()
            for source, index in ((train, learned), (test, judged))
        )
        for block, private, columns in _blocks(model, given, z.shape[1]):
            right = _fit(z[:, columns], y, asked[:, columns]) == truth
            accuracy = _accuracy(right, resamples, derive_seed(seed, 2))
            found.append(ProbeRow(block, private, given, accuracy, len(y), len(truth)))
    if found:
        notes += note_few(max(row.n for row in found))
    return Probe(found, class_shares(known[1], 1).max().item(), notes)


def _with_all(source: Tensors, given: Subset, codes: Tensor) -> Tensor:
    """Rows that have a label and all that is given."""
    here = [rows_present(source.present[name]).cpu() for name in given]
    return (torch.stack(here).all(0) & (codes >= 0)).nonzero()[:, 0]


def _some(index: Tensor, most: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed(seed, 1))
    return index[torch.randperm(len(index), generator=generator)[:most].sort().values]


def _blocks(model: LatentModel, given: Subset, size: int) -> list[tuple[str, bool, Tensor]]:
    """Name, whether it is private, and the columns of each block that a set can tell of."""
    layout = layout_told(model)
    if layout is None or layout.dim != size:
        return [("all", False, torch.arange(size))]
    place = torch.arange(size)
    if layout.shared:
        blocks = [("shared", False, place[: layout.shared])]
    else:
        blocks = [("all", False, place)]
    if len(given) == 1 and layout.private[given[0]]:
        blocks.append((given[0], True, layout.select(place, given[0])[layout.shared :]))
    return blocks


def _fit(z: Tensor, y: Tensor, asked: Tensor) -> Tensor:
    """What logistic regression on ``(z, y)`` says of the rows asked."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe = LogisticRegression(max_iter=1000).fit(z.double().numpy(), y.numpy())
    return torch.as_tensor(probe.predict(asked.double().numpy()))


def _accuracy(right: Tensor, resamples: int, seed: int) -> Estimate:
    hits = right.double()
    whole, replicates = bootstrap(
        lambda w: (w @ hits / w.sum(1))[:, None], len(hits), resamples=resamples, seed=seed
    )
    low, high = exact_interval(whole.item(), len(hits))
    return share_estimate(whole.item(), replicates[:, 0], (float(low), float(high)))
