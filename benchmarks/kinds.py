#!/usr/bin/env python
"""Each kind of modality on real data, beside simple baselines that see the same.

    python benchmarks/kinds.py --data FOLDER                    # all, a few minutes of CPU
    python benchmarks/kinds.py --data FOLDER --only spikes tags
    python benchmarks/kinds.py --data FOLDER --recipe mvtcae --epochs 60
    python benchmarks/kinds.py --data FOLDER --only tags --write   # and docs/kinds.md

FOLDER holds mnist_speech.npz, mnist_handsign.npz, neural_grasshopper.npz, emoji.npz,
emoji.parquet and omics/tcga_breast.npz; `adrenal` is bundled and needs no folder.

A whole modality is hidden in held-out rows and told from the others. Errors come from
`MultimodalModel.evaluate`: less is better, and [low, high] is the bootstrap interval of the skill,
1 - error / error of the best baseline. For digits a support vector machine, trained on the real
training rows, says which digit an answer shows: the share that is right, beside that of the answer
of the nearest training row. For spikes the log-likelihood of the held-out counts is compared with
a constant rate and with a Poisson regression on the last 24 ms of the stimulus.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from kinds_page import recorded

import polymodal as pm
from polymodal.data import ModalitySpec, MultimodalData
from polymodal.tasks import translate

BIN, BINS = 40, 12  # samples at 20 kHz: 2 ms; a window lasts 24 ms
LAGS = 12


def fitted(data: MultimodalData, epochs: int, args: argparse.Namespace, **more: Any):
    """A model with the default settings but those named; kinds_page.SETTINGS tells them."""
    started = time.process_time()
    model = pm.MultimodalModel(
        args.recipe, epochs=args.epochs or epochs, progress=False, seed=args.seed, **more
    ).fit(data)
    spent = time.process_time() - started
    epochs = len(model.result_.history)
    print(f"  {len(data):,} rows, {args.recipe}, {epochs} epochs, {spent:.0f} s of CPU")
    return model


def show(model: pm.MultimodalModel, test: MultimodalData, train: MultimodalData | None = None):
    """A line a hidden modality or column: the model's error and those of the baselines."""
    found = model.evaluate(test, train=train)
    print(f"  {'hidden':<12}{'measure':<26}{'model':>8}{'mean':>8}{'linear':>8}{'knn':>8}  skill")
    for row in found.rows:
        if row.task != "modality" or (row.column and row.column != row.modality):
            continue
        base = [getattr(row, one) for one in ("mean", "linear", "knn")]
        said = "".join(f"{one.value:8.3f}" if one else f"{'':8}" for one in (row.model, *base))
        print(f"  {row.label:<12}{row.metric:<26}{said}  {row.skill} {row.verdict}")
    return found


def digits(args: argparse.Namespace, file: str, other: str) -> None:
    """A handwritten digit and the same digit said or shown otherwise."""
    from sklearn.model_selection import cross_val_predict
    from sklearn.svm import SVC

    held = np.load(args.data / file)
    parts = {}
    for split, n in (("train", 2000), ("test", 400)):
        pair = held[f"pair_{split}"][:n]
        values = held[f"{other}_{split}"][pair]
        values = values.astype(np.float32) if other == "speech" else values
        parts[split] = held[f"mnist_{split}"][:n], values, held[f"label_{split}"][:n]
    kinds = {"digit": "image", other: "audio" if other == "speech" else "image"}
    data, labels = {}, {}
    for split, (digit, values, label) in parts.items():
        data[split] = pm.from_arrays({"digit": digit, other: values}, kinds=kinds)
        labels[split] = label
    model = fitted(data["train"], 60, args)
    show(model, data["test"])
    names = ("digit", other)
    seen = {s: model.codec_.encode(data[s]) for s in data}
    flat = {s: {n: seen[s].x[n].flatten(1).numpy() for n in names} for s in seen}
    judges = {n: SVC(C=10).fit(flat["train"][n], labels["train"]) for n in names}
    # A judge knows the rows that it was trained on: copies of them are judged by others.
    unseen = {n: cross_val_predict(SVC(C=10), flat["train"][n], labels["train"]) for n in names}
    for to, given in (names, names[::-1]):
        drawn = translate(model.model_, seen["test"], to=[to], given=[given], draws=5)[to]
        said = judges[to].predict(drawn.flatten(0, 1).flatten(1).numpy())
        point = translate(model.model_, seen["test"], to=[to], given=[given])[to][0]
        shown = judges[to].predict(point.flatten(1).numpy())
        near = _nearest(flat["train"][given], flat["test"][given])
        copied = unseen[to][near]
        cap = judges[to].predict(flat["test"][to])
        truth = labels["test"]
        print(
            f"  {given} -> {to}: right digit {np.mean(shown == truth):.3f} (point), "
            f"{np.mean(said == np.tile(truth, 5)):.3f} (drawn), nearest row's "
            f"{np.mean(copied == truth):.3f}; the judge itself {np.mean(cap == truth):.3f}"
        )


def _nearest(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The nearest known row of each row."""
    return (np.square(known).sum(1) - 2 * asked @ known.T).argmin(1)


def spikes(args: argparse.Namespace) -> None:
    """The stimulus that a receptor hears and its spikes.

    The stimulus is noise of a flat spectrum, so windows are short: of a long one, no latent vector
    smaller than the window itself says much.
    """
    from scipy.stats import poisson
    from sklearn.linear_model import PoissonRegressor

    held = np.load(args.data / "neural_grasshopper.npz")
    parts: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for trial in (1, 2):
        stimulus = held[f"stimulus{trial}_20kHz"]
        binned = stimulus[: len(stimulus) // BIN * BIN].reshape(-1, BIN).mean(1)
        at = (held[f"spike_us{trial}"] * 20e-3 / BIN).astype(int)
        counts = np.bincount(at, minlength=len(binned))[: len(binned)]
        lagged = np.stack([np.roll(binned, lag) for lag in range(LAGS)], 1)
        both = np.concatenate([binned[:, None], counts[:, None], lagged], 1)
        cut = len(both) * 3 // 4
        # windows overlap in training only
        for split, part, step in (("train", both[LAGS:cut], 2), ("test", both[cut:], BINS)):
            starts = range(0, len(part) - BINS + 1, step)
            parts[split] += [part[start : start + BINS] for start in starts]
    windows = {split: np.stack(found) for split, found in parts.items()}
    kinds = {"stimulus": "series", "spikes": ModalitySpec("series", column="spikes",
                                                          likelihood=args.likelihood)}  # fmt: skip
    data = {
        split: pm.from_arrays(
            {"stimulus": found[..., 0], "spikes": found[..., 1].astype(int)}, kinds=kinds
        )
        for split, found in windows.items()
    }
    networks = pm.NetworkSettings(series=args.series)
    model = fitted(data["train"], 75, args, networks=networks)
    show(model, data["test"])
    truth, known = windows["test"][..., 1], windows["train"][..., 1]
    nats = model.score(data["test"], of=["spikes"], given=["stimulus"], kind="predictive")
    flat = windows["train"][:, :, 2:].reshape(-1, LAGS)
    glm = PoissonRegressor(alpha=1e-4, max_iter=300).fit(flat, known.ravel())
    rate = glm.predict(windows["test"][:, :, 2:].reshape(-1, LAGS)).reshape(truth.shape)
    constant = poisson.logpmf(truth, known.mean()).sum(1)
    regressed = poisson.logpmf(truth, rate).sum(1)
    nats = np.asarray(nats, dtype=np.float64)
    error = (nats - constant).std(ddof=1) / np.sqrt(len(nats))
    print(f"  {len(nats)} windows of 24 ms, {truth.sum(1).mean():.2f} spikes each")
    print(
        f"  log p(spikes given stimulus), nats a window: model {nats.mean():.2f}, constant rate "
        f"{constant.mean():.2f}, Poisson regression {regressed.mean():.2f}"
    )
    print(f"  model - constant rate: {np.mean(nats - constant):+.2f} +- {error:.2f}")


def adrenal(args: argparse.Namespace) -> None:
    """Five assays of adrenal tumours, with naturally missing ones, and the clinical table."""
    from polymodal.data.bundled import load_bundled

    data = load_bundled("tcga_acc")
    train, test = data.split(0.25, seed=args.seed)
    show(fitted(train, 200, args, latent_dim=8), test)


def breast(args: argparse.Namespace) -> None:
    """Three assays of breast tumours; the protein of the test rows was never measured."""
    from sklearn.linear_model import LogisticRegression

    held = np.load(args.data / "omics" / "tcga_breast.npz")
    names = ("mrna", "mirna", "protein")
    data = pm.from_arrays(
        {**{name: held[name] for name in names}, "subtype": held["label"].astype(object)},
        present={"protein": held["present_protein"]},
        kinds=dict.fromkeys(names, "vector"),
    )
    known, test = data[~held["test"]], data[held["test"]]
    train, judged = known.split(0.25, seed=args.seed)
    model = fitted(train, 200, args, latent_dim=8)
    show(model, judged)
    said = np.asarray(model.translate(test[["mrna", "mirna"]], to="subtype"))
    truth = held["label"][held["test"]]
    seen = [np.concatenate([d.values(n) for n in ("mrna", "mirna")], 1) for d in (train, test)]
    scale = seen[0].mean(0), seen[0].std(0) + 1e-9
    seen = [(one - scale[0]) / scale[1] for one in seen]
    table = train.values("subtype")["subtype"].to_numpy()
    linear = LogisticRegression(max_iter=500).fit(seen[0], table).predict(seen[1])
    print(
        f"  subtype of the {len(truth)} rows without protein: model {np.mean(said == truth):.3f}, "
        f"logistic regression {np.mean(linear == truth):.3f}"
    )


def tags(args: argparse.Namespace) -> None:
    """Emoji: the picture, its tags and its group."""
    import pandas as pd

    frame = pd.read_parquet(args.data / "emoji.parquet")
    held = np.load(args.data / "emoji.npz")
    data = pm.from_arrays(
        {
            "image": held["image"],
            "tags": frame["tags_en"].to_numpy(object),
            "group": frame["group"].to_numpy(object),
        },
        kinds={"tags": ModalitySpec("tags", column="tags", min_count=10)},
    )
    train, test = data[~held["test"]], data[held["test"]]
    model = fitted(train, 30, args)
    print(f"  {len(model.schema_['tags'].levels or ())} tags")
    show(model, test)
    told = model.translate(test[["image"]], to="tags")[:200]
    for said, truth in list(zip(told, test.values("tags"), strict=False))[::40]:
        print(f"  said {said!r}; has {'|'.join(truth)!r}")


SETS: dict[str, Callable[[argparse.Namespace], None]] = {
    "speech": lambda args: digits(args, "mnist_speech.npz", "speech"),
    "signs": lambda args: digits(args, "mnist_handsign.npz", "sign"),
    "spikes": spikes,
    "adrenal": adrenal,
    "breast": breast,
    "tags": tags,
}


def main() -> None:
    """Run what was asked for."""
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--data", type=Path, default=Path(), help="the folder with the files")
    ask.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    ask.add_argument("--recipe", default="polymodal")
    ask.add_argument("--epochs", type=int, default=0, help="0: as many as each set is given here")
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--series", default="conv", choices=("conv", "recurrent"))
    ask.add_argument("--likelihood", default=None, help="of the spikes; by default chosen")
    ask.add_argument("--write", action="store_true", help="keep what is said; docs/kinds.md")
    args = ask.parse_args()
    for name in args.only:
        with recorded(name, keep=args.write):
            about = SETS[name].__doc__ or "a digit and its other form"
            print(f"{name}: {about.strip().split('.')[0]}")
            SETS[name](args)


if __name__ == "__main__":
    main()
