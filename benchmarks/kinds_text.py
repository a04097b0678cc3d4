#!/usr/bin/env python
"""Do texts learn? Pictures and captions, pictures and names in six languages, four languages.

    python benchmarks/kinds_text.py                                 # the bundled captions
    python benchmarks/kinds_text.py --data DIR --sets emoji,git     # files of one's own

DIR may hold ``fashion_mnist.npz`` with ``fashion_mnist_attr.parquet``, ``emoji.npz`` with
``emoji.parquet`` and ``text/git_messages.parquet``. Each direction is judged on held-out rows:
*exact*, the share of answers that are the wanted text; *words*, F1 of their words; *chrF* where
sacrebleu is installed. Beside the model stand the most frequent text of training and the text of
the nearest training row (pixels, or runs of two to four characters).
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from kinds_page import recorded

import polymodal as pm
from polymodal.data.tokenization.words import tokens_of

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
    "fashion": (("image", "caption"),),
    "emoji": (("image", "en"), ("en", "de"), ("en", "vi"), ("vi", "ja"), ("ja", "en")),
    "git": (("en", "en"), ("en", "de"), ("en", "vi"), ("vi", "fr")),
}


def scores(said: list[str], wanted: list[str]) -> str:
    exact = np.mean([a.lower() == b.lower() for a, b in zip(said, wanted, strict=True)])
    shared = [_word_f1(a, b) for a, b in zip(said, wanted, strict=True)]
    line = f"exact {exact:.3f}   words {np.mean(shared):.3f}"
    try:
        from sacrebleu import corpus_chrf
    except ImportError:
        return line
    return f"{line}   chrF {corpus_chrf(said, [wanted]).score:.1f}"


def _word_f1(said: str, wanted: str) -> float:
    one, other = Counter(tokens_of(said)), Counter(tokens_of(wanted))
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 1.0


def nearest(known: pm.MultimodalData, asked: pm.MultimodalData, source: str) -> np.ndarray:
    """The place of the nearest training row for each row that is asked."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    if known.schema[source].kind == "text":
        reader = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))
        one = reader.fit_transform(known.values(source).tolist())
        other = reader.transform(asked.values(source).tolist())
    else:
        one, other = (np.stack(list(d.values(source))).reshape(len(d), -1) for d in (known, asked))
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
    for source, to in (way for way in WAYS[name] if set(way) <= set(train.names)):
        wanted = test.values(to).tolist()
        print(f"-- {source} -> {to}")
        frequent = Counter(train.values(to).tolist()).most_common(1)[0][0]
        print(f"   {'most frequent':28}{scores([frequent] * len(wanted), wanted)}")
        near = train.values(to)[nearest(train, test, source)].tolist()
        print(f"   {'nearest':28}{scores(near, wanted)}")
        said: list[str] = []
        for how in options.text:
            said = model.translate(test[[source]], to=to, given=source, text=how).tolist()
            print(f"   {how:28}{scores(said, wanted)}")
        for row in range(0, len(wanted), max(1, len(wanted) // options.examples)):
            print(f"      {wanted[row]!r:.60}\n        {said[row]!r:.60}")


def _setting(said: str) -> tuple[str, object]:
    key, _, value = said.partition("=")
    number = float(value) if value.replace(".", "").isdigit() else value
    return key, int(value) if value.isdigit() else number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--sets", default="fashion")
    parser.add_argument("--recipe", default="mopoe")
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
