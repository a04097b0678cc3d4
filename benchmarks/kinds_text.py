#!/usr/bin/env python
"""Do texts learn? Pictures and captions, pictures and names in six languages, four languages.

    python benchmarks/kinds_text.py                                 # the bundled captions
    python benchmarks/kinds_text.py --data DIR --sets emoji,git     # files of one's own

DIR may hold ``fashion_mnist.npz`` with ``fashion_mnist_attr.parquet``, ``emoji.npz`` with
``emoji.parquet`` and ``text/git_messages.parquet``. Each direction is judged on held-out rows:
*exact*, the share of answers that are the wanted text; *words*, F1 of their words; *chrF* and
*BLEU* of the whole, BLEU by characters where training texts put no spaces. *CCA*: of what is given
and what is answered, the mean canonical correlation (axes fitted on training pairs), whose cap is
that of the real pairs. A picture is judged by
*rmse* (values from 0 to 1), and by *found*: how often it is nearer to the wanted picture than to
those of nine other rows, .1 by chance. Beside the model stand the most frequent text of training
or its mean picture, and the answer of the nearest training row (pixels, or runs of two to four
characters).
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from kinds_page import recorded

import polymodal as pm
from polymodal.data.tokenization.words import tokens_of
from polymodal.metrics import bleu, canonical_correlation, chrf, fit_canonical_axes
from polymodal.metrics.captions import tokenizer_of

Split = tuple[pm.MultimodalData, pm.MultimodalData]
LANGUAGES = ("en", "fr", "de", "vi", "es", "ja")


def fashion(folder: Path | None) -> Split:
    if folder is None:
        data = pm.load_bundled("fashion")[["image", "caption"]]
        test = np.random.default_rng(0).permutation(len(data)) < len(data) // 5
    else:
        with np.load(folder / "fashion_mnist.npz") as arrays:
            images = np.concatenate([arrays["x_train"], arrays["x_test"]])
        table = pd.read_parquet(folder / "fashion_mnist_attr.parquet")
        data = pm.from_arrays(
            {"image": images, "caption": table["caption"].tolist()}, kinds={"caption": "text"}
        )
        test = (table["split"] == "test").to_numpy()
    return data[np.flatnonzero(~test)], data[np.flatnonzero(test)]


def emoji(folder: Path | None) -> Split:
    if folder is None:
        raise SystemExit("emoji: give the folder of its files by --data.")
    table = pd.read_parquet(folder / "emoji.parquet")
    with np.load(folder / "emoji.npz") as arrays:
        images = arrays["image"]
    names = {one: table[one].tolist() for one in LANGUAGES}
    data = pm.from_arrays({"image": images, **names}, kinds=dict.fromkeys(LANGUAGES, "text"))
    test = (table["split"] == "test").to_numpy()
    return data[np.flatnonzero(~test)], data[np.flatnonzero(test)]


def git(folder: Path | None) -> Split:
    if folder is None:
        raise SystemExit("git: give the folder of its files by --data.")
    table = pd.read_parquet(folder / "text" / "git_messages.parquet")
    data = pm.from_arrays(
        {one: table[one].tolist() for one in table}, kinds=dict.fromkeys(table, "text")
    )
    test = np.random.default_rng(0).permutation(len(data)) < 400
    return data[np.flatnonzero(~test)], data[np.flatnonzero(test)]


SETS = {"fashion": fashion, "emoji": emoji, "git": git}
WAYS = {
    "fashion": (("image", "caption"), ("caption", "image")),
    "emoji": (
        ("image", "en"), ("image", "es"), ("en", "de"), ("de", "fr"), ("vi", "ja"), ("ja", "en"),
        ("en", "image"), ("ja", "image"),
    ),
    "git": (("en", "de"), ("en", "vi"), ("vi", "fr"), ("fr", "en"), ("de", "vi")),
}  # fmt: skip
FEATURES, AXES, RIDGE = 40, 10, 0.05


class Features:
    """Some dozen numbers of a picture or a text, fitted on training rows."""

    def __init__(self, known: np.ndarray) -> None:
        from sklearn.decomposition import PCA, TruncatedSVD

        self.reader = _reader().fit(known.tolist()) if _is_text(known) else None
        flat = self._flat(known)
        size = min(FEATURES, *(side - 1 for side in flat.shape))
        self.found = (PCA if self.reader is None else TruncatedSVD)(size, random_state=0).fit(flat)

    def _flat(self, values: np.ndarray):
        if self.reader is not None:
            return self.reader.transform(values.tolist())
        return np.stack(list(values)).reshape(len(values), -1) / 255.0

    def of(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(self.found.transform(self._flat(values))))


def _is_text(values: np.ndarray) -> bool:
    return isinstance(values[0], str)


def _reader():
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))


class Way:
    """One direction: what is given, what is wanted, and how an answer is scored."""

    def __init__(self, train: pm.MultimodalData, test: pm.MultimodalData, ends: tuple) -> None:
        self.source, self.to = ends
        known = [_objects(train.values(one)) for one in ends]
        self.given, self.wanted = (_objects(test.values(one)) for one in ends)
        self.known, self.is_text = known, _is_text(self.wanted)
        self.features = [Features(one) for one in known]
        pairs = [read.of(one) for read, one in zip(self.features, known, strict=True)]
        self.axes = fit_canonical_axes(*pairs, components=AXES, ridge=RIDGE)

    def simple(self) -> dict[str, np.ndarray]:
        """The answers of the simple methods."""
        source, target = self.known
        if self.is_text:
            first = "most frequent", Counter(target.tolist()).most_common(1)[0][0]
        else:
            first = "mean picture", np.stack(list(target)).mean(0)
        same = np.empty(len(self.wanted), dtype=object)
        same[:] = [first[1]] * len(same)
        return {first[0]: same, "nearest": target[nearest(source, self.given)]}

    def scores(self, said: np.ndarray) -> str:
        """All scores of answers, in a line."""
        line = (
            _text_scores(said, self.wanted, tokenizer_of(self.known[1].tolist()))
            if self.is_text
            else _image_scores(said, self.wanted)
        )
        a, b = self.features[0].of(self.given), self.features[1].of(said)
        return f"{line}   CCA {canonical_correlation(a, b, self.axes).item():.2f}"


def _objects(values) -> np.ndarray:
    """One entry a row, whatever it is."""
    found = np.empty(len(values), dtype=object)
    found[:] = list(values)
    return found


def _text_scores(said: np.ndarray, wanted: np.ndarray, tokenize: str) -> str:
    pairs = list(zip(said.tolist(), wanted.tolist(), strict=True))
    exact = np.mean([a.lower() == b.lower() for a, b in pairs])
    shared = np.mean([_word_f1(a, b) for a, b in pairs])
    whole = said.tolist(), wanted.tolist()
    return (
        f"exact {exact:.3f}   words {shared:.3f}   chrF {chrf(*whole).item():4.1f}   "
        f"BLEU {bleu(*whole, tokenize=tokenize).item():4.1f}"
    )


def _image_scores(said: np.ndarray, wanted: np.ndarray) -> str:
    one, other = (np.stack([np.asarray(x, float) for x in each]) / 255 for each in (said, wanted))
    one, other = one.reshape(len(one), -1), other.reshape(len(other), -1)
    rmse = np.sqrt(np.square(one - other).mean())
    rows = np.random.default_rng(0)
    right = []
    for row in range(len(other)):
        others = rows.choice(np.delete(np.arange(len(other)), row), 9, replace=False)
        distances = np.square(one[row] - other[[row, *others]]).mean(1)
        right.append(distances[0] < distances[1:].min())
    return f"rmse {rmse:.3f}   found {np.mean(right):.3f}"


def _word_f1(said: str, wanted: str) -> float:
    one, other = Counter(tokens_of(said)), Counter(tokens_of(wanted))
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 1.0


def nearest(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The place of the nearest training value for each that is asked."""
    from sklearn.neighbors import NearestNeighbors

    if _is_text(known):
        reader = _reader()
        one, other = reader.fit_transform(known.tolist()), reader.transform(asked.tolist())
    else:
        one, other = (np.stack(list(d)).reshape(len(d), -1) for d in (known, asked))
    return NearestNeighbors(n_neighbors=1).fit(one).kneighbors(other, return_distance=False)[:, 0]


def run(name: str, options: argparse.Namespace) -> None:
    train, test = SETS[name](options.data)
    if options.names:
        train, test = train[options.names], test[options.names]
    settings = {"settings": {"beta": options.beta}} if options.beta is not None else {}
    networks = pm.NetworkSettings(**dict(options.net or ()))
    if options.tokenizer:
        for one in train.names:
            if train.schema[one].kind == "text":
                train = train.with_schema(train.schema.set(one, tokenizer=options.tokenizer))
    begun = time.monotonic()
    model = pm.MultimodalModel(
        options.recipe,
        latent_dim=options.latent_dim,
        epochs=options.epochs,
        progress=options.progress,
        max_seconds=options.max_seconds,
        networks=networks,
        **settings,
    ).fit(train)
    took = time.monotonic() - begun
    n_epochs = len(model.result_.history)
    print(f"\n== {name}: {len(train)} rows, {options.recipe}, {n_epochs} epochs, {took:.0f} s")
    print(model.schema_)
    for ends in (way for way in WAYS[name] if set(way) <= set(train.names)):
        way = Way(train, test, ends)
        print(f"-- {way.source} -> {way.to}")
        print(f"   {'the real pairs':18}{way.scores(way.wanted)}")
        for method, said in way.simple().items():
            print(f"   {method:18}{way.scores(said)}")
        said = way.wanted
        for how in options.text if way.is_text else ["model"]:
            text = how if way.is_text else None
            said = model.translate(test[[way.source]], to=way.to, given=way.source, text=text)
            said = _objects(said)
            print(f"   {how:18}{way.scores(said)}")
        for row in range(0, len(said), max(1, len(said) // options.examples)):
            if way.is_text:
                print(f"      {way.wanted[row]!r:.60}\n        {said[row]!r:.60}")


def _setting(said: str) -> tuple[str, object]:
    key, _, value = said.partition("=")
    number = float(value) if value.replace(".", "").isdigit() else value
    return key, int(value) if value.isdigit() else number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--sets", default="fashion")
    parser.add_argument("--recipe", default="polymodal")
    parser.add_argument("--names", type=lambda said: said.split(","), default=None)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--max-seconds", type=float, default=None)
    parser.add_argument("--latent-dim", type=int, default=32)
    parser.add_argument("--beta", type=float, default=None)
    parser.add_argument("--tokenizer", default=None)
    parser.add_argument("--examples", type=int, default=5)
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--net", type=_setting, action="append", help="name=value of the networks")
    parser.add_argument("--text", action="append", default=None, help="'greedy', 'beam, width=8'")
    parser.add_argument("--write", action="store_true", help="keep what is said; docs/kinds.md")
    options = parser.parse_args()
    options.text = options.text or ["greedy", "beam, width=4"]
    for name in options.sets.split(","):
        with recorded(name, keep=options.write):
            run(name, options)


if __name__ == "__main__":
    main()
