"""Captions and translations: against sacrebleu itself, and against answers of known worth."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF
from tests.estimator.cases import tiny

from polymodal import MultimodalModel
from polymodal.data.codec import DataCodec
from polymodal.data.dataset import MultimodalData
from polymodal.data.sources import from_arrays
from polymodal.data.tensors import Tensors
from polymodal.evaluate import Evaluation, TextScore, evaluate_skill
from polymodal.evaluate.bootstrap import resample_counts
from polymodal.evaluate.captions import weighted_correlation
from polymodal.metrics.captions import bleu_counts, bleu_of_counts, chrf_counts, chrf_of_counts
from polymodal.metrics.correlation import CanonicalAxes, canonical_correlation
from polymodal.report.skill import describe_skill

SIZES = ("tiny", "small", "large", "giant")
COLOURS = ("red", "green", "blue")
INSTALL = "pip install 'polymodal[text-metrics]'"


def rows(n: int, seed: int, spaced: bool = True) -> MultimodalData:
    """A vector that says size and colour with some noise, a sentence that says them too."""
    rng = np.random.default_rng(seed)
    size, colour = rng.integers(0, 4, n), rng.integers(0, 3, n)
    vector = np.concatenate([np.eye(4)[size], np.eye(3)[colour]], 1)
    vector = vector + 0.5 * rng.normal(size=vector.shape)
    image = (np.eye(4)[size][:, :, None] * 200 * np.ones(4)).astype(np.uint8)
    texts = [f"this is a {SIZES[i]} {COLOURS[j]} box" for i, j in zip(size, colour, strict=True)]
    texts = texts if spaced else [text.replace(" ", "") for text in texts]
    arrays = {"v": vector, "image": image, "caption": np.array(texts, dtype=object)}
    return from_arrays(arrays, kinds={"caption": "text"})


@dataclass
class Said:
    point: dict[str, torch.Tensor]
    draws: dict[str, torch.Tensor]


class Answers:
    """Says given texts to the rows that it is asked about, which it knows by their vector."""

    def __init__(self, truth: Tensors, texts: torch.Tensor) -> None:
        self.truth, self.texts = truth, texts

    def __call__(self, model, source, *, draws, seed, names) -> Said:
        other = "image" if "v" in names else "v"
        keys = self.truth.x[other].flatten(1).double()
        found = torch.cdist(source.x[other].flatten(1).double(), keys).argmin(1)
        point = {n: self.texts[found] if n == "caption" else self.truth.x[n][found] for n in names}
        return Said(point, {n: x.expand(draws, *x.shape) for n, x in point.items()})


@pytest.fixture(scope="module")
def data() -> tuple[DataCodec, Tensors, Tensors]:
    train = rows(300, 0)
    codec = DataCodec.fit(train)
    return codec, codec.encode(rows(120, 1)), codec.encode(train)


def shuffled(test: Tensors) -> torch.Tensor:
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(3))
    return test.x["caption"][order]


def run(data, texts: torch.Tensor, **settings) -> Evaluation:
    codec, test, train = data
    settings = {"draws": 20, "bootstrap": 200, **settings}
    return evaluate_skill(None, codec, test, train, imputer=Answers(test, texts), **settings)


def by_label(result: Evaluation) -> dict[str, TextScore]:
    return {one.label: one for one in result.texts}


def test_the_true_text_scores_what_the_truth_scores(data) -> None:
    result = run(data, data[1].x["caption"])
    found = by_label(result)
    assert list(found) == ["BLEU", "chrF", "correlation with v", "correlation with image"]
    for name in ("BLEU", "chrF"):
        assert found[name].model.value == pytest.approx(100)
        assert found[name].model.low == pytest.approx(100)
        assert found[name].verdict == "better"
    for one in found.values():
        assert one.model.value == pytest.approx(one.truth.value)
        assert one.modality == "caption"
        assert one.n == 120
    assert found["correlation with v"].truth.value > 0.6


def test_shuffled_texts_and_the_most_frequent_one_fit_no_row(data) -> None:
    found = by_label(run(data, shuffled(data[1])))
    for name in ("correlation with v", "correlation with image"):
        assert abs(found[name].model.value) < 0.1
        assert found[name].mean.value == 0
        assert found[name].truth.value > 0.5
        assert found[name].knn.value > 0.5
        assert found[name].best_baseline == "knn"
        assert found[name].verdict == "worse"


def test_scores_are_those_of_sacrebleu(data) -> None:
    codec, test, train = data
    said = list(codec.decode("caption", shuffled(test)))
    truth = list(codec.decode("caption", test.x["caption"]))
    found = by_label(run(data, shuffled(test)))
    tokens, counts = train.x["caption"].unique(dim=0, return_counts=True)
    most = tokens[(counts == counts.max()).nonzero()[:, 0]]
    frequent = {BLEU: set(), CHRF: set()}
    for scorer, name in ((BLEU, "BLEU"), (CHRF, "chrF")):
        one = found[name]
        assert one.model.value == pytest.approx(scorer().corpus_score(said, [truth]).score)
        for text in codec.decode("caption", most):
            score = scorer().corpus_score([text] * len(truth), [truth]).score
            frequent[scorer].add(round(score, 6))
        assert round(one.mean.value, 6) in frequent[scorer]


def test_counts_give_the_score_of_every_resample() -> None:
    said = ["a red box", "", "the big  green box is here", "xy", "box box box box box", "ein Hut."]
    true = ["a red box", "a", "the green box is big", "x", "a box", ""]
    weights = resample_counts(len(said), 20, torch.Generator().manual_seed(0))
    by_characters = {"tokenize": "char"}
    scorers = (
        (BLEU, bleu_counts, bleu_of_counts, {}),
        (BLEU, bleu_counts, bleu_of_counts, by_characters),
        (CHRF, chrf_counts, chrf_of_counts, {}),
    )
    for scorer, count, score, settings in scorers:
        found = score(weights @ count(said, true, **settings))
        for chosen, value in zip(weights.long().tolist(), found.tolist(), strict=True):
            one, other = (
                [text for text, n in zip(texts, chosen, strict=True) for _ in range(n)]
                for texts in (said, true)
            )
            wanted = scorer(**settings).corpus_score(one, [other]).score
            assert value == pytest.approx(wanted, abs=1e-9)


def test_the_weighted_correlation_is_that_of_repeated_rows() -> None:
    g = torch.Generator().manual_seed(1)
    a = torch.randn(30, 3, generator=g, dtype=torch.float64)
    b = a + torch.randn(30, 3, generator=g, dtype=torch.float64)
    b[:, 2] = 0.3
    a, b = a - a.mean(0), b - b.mean(0)
    weights = resample_counts(30, 5, g)
    eye, zero = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    axes = CanonicalAxes((zero, zero), (eye, eye), zero)
    for row, value in zip(weights, weighted_correlation(a, b, weights).tolist(), strict=True):
        index = torch.arange(30).repeat_interleave(row.long())
        wanted = canonical_correlation(a[index], b[index], axes).item()
        assert value == pytest.approx(wanted, abs=1e-9)


def test_a_resample_in_which_the_text_is_always_the_same_counts_zero() -> None:
    a = torch.arange(10, dtype=torch.float64)[:, None] - 4.5
    b = torch.zeros(10, 1, dtype=torch.float64)
    b[0] = 1.0
    b = b - b.mean(0)
    weights = torch.ones(1, 10, dtype=torch.float64)
    weights[0, 0] = 0
    assert weighted_correlation(a, b, weights).item() == 0


def test_intervals_hold_the_value(data) -> None:
    result = run(data, shuffled(data[1]))
    assert len(result.texts) == 4
    for one in result.texts:
        for estimate in (one.model, one.mean, one.knn, one.truth):
            assert estimate.low <= estimate.value <= estimate.high


def test_the_same_seed_gives_the_same_and_leaves_random_states_alone(data) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (run(data, shuffled(data[1]), seed=5).to_dict() for _ in range(2))
    assert json.dumps(one, allow_nan=False) == json.dumps(two, allow_nan=False)
    assert len(one["texts"]) == 4
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_without_sacrebleu_a_note_says_how_to_install_it(data, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    result = run(data, shuffled(data[1]))
    assert {one.metric for one in result.texts} == {"canonical_correlation"}
    assert sum(INSTALL in note for note in result.notes) == 1
    assert INSTALL not in result.verdict
    assert INSTALL in str(result)
    assert "BLEU, 0 to 100" not in str(result)
    monkeypatch.undo()
    assert not any(INSTALL in note for note in run(data, shuffled(data[1])).notes)


def test_rows_that_lack_the_other_modality_are_left_out(data) -> None:
    codec, test, train = data
    present = dict(test.present)
    present["image"] = torch.arange(len(test)) < 70
    found = by_label(run((codec, replace(test, present=present), train), test.x["caption"]))
    assert found["correlation with image"].n == 70
    assert found["BLEU"].n == found["correlation with v"].n == 120
    present["image"] = torch.arange(len(test)) < 9
    result = run((codec, replace(test, present=present), train), test.x["caption"])
    assert "correlation with image" not in by_label(result)
    assert any(
        "not correlated with image" in note and "300 and 9" in note for note in result.notes
    )


def test_what_never_varies_is_said_not_to_be_correlated(data) -> None:
    codec, test, train = data
    same = {**train.x, "image": torch.full_like(train.x["image"], 0.5)}
    result = run((codec, test, replace(train, x=same)), test.x["caption"])
    assert "correlation with image" not in by_label(result)
    assert any("the same in all training rows" in note for note in result.notes)


def test_texts_without_spaces_are_correlated_by_their_characters() -> None:
    train = rows(200, 0, spaced=False)
    codec = DataCodec.fit(train)
    test = codec.encode(rows(60, 1, spaced=False))
    result = run((codec, test, codec.encode(train)), test.x["caption"])
    found = by_label(result)
    assert "BLEU" not in found
    assert found["BLEU of characters"].model.value == pytest.approx(100)
    assert found["chrF"].model.value == pytest.approx(100)
    assert found["correlation with v"].truth.value > 0.5


LANGUAGES = {
    "Japanese": ("これは{}{}箱です。", ("小さい、", "中くらいの", "大きい、"), ("赤い", "青い")),
    "Chinese": ("这是一个{}{}盒子。", ("很小的,", "中等的", "很大的,"), ("红色", "蓝色")),
}


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_bleu_without_spaces_is_that_of_sacrebleus_characters(language: str, level: str) -> None:
    """A codec of words sets spaces around signs, and the language has none all the same."""
    form, sizes, colours = LANGUAGES[language]

    def some(n: int, seed: int) -> MultimodalData:
        rng = np.random.default_rng(seed)
        size, colour = rng.integers(0, (3, 2), (n, 2)).T
        texts = [form.format(sizes[i], colours[j]) for i, j in zip(size, colour, strict=True)]
        arrays = {
            "v": np.stack([size, colour], 1) + 0.1 * rng.normal(size=(n, 2)),
            "caption": np.array(texts, dtype=object),
            "image": (size[:, None, None] * 60 * np.ones((4, 4))).astype(np.uint8),
        }
        data = from_arrays(arrays, kinds={"caption": "text"})
        return data.with_schema(data.schema.set("caption", tokenizer=level))

    train = some(120, 0)
    codec = DataCodec.fit(train)
    test = codec.encode(some(40, 1))
    result = run((codec, test, codec.encode(train)), shuffled(test))
    score = by_label(result)["BLEU of characters"]
    said, truth = (list(codec.decode("caption", x)) for x in (shuffled(test), test.x["caption"]))
    wanted = BLEU(tokenize="char").corpus_score(said, [truth]).score
    assert 0 < wanted < 100
    assert score.model.value == pytest.approx(wanted)
    assert score.model.low < wanted < score.model.high
    assert score.tokenize == "char"
    assert "BLEU of characters (sacrebleu's tokenizer char)" in str(result)
    assert "BLEU of characters" in json.dumps(describe_skill(result), default=str)


def test_it_is_printed_and_reported_for_people(data) -> None:
    result = run(data, shuffled(data[1]))
    said = str(result)
    for words in (
        "BLEU, 0 to 100", "chrF, 0 to 100", "Correlation, -1 to 1", "Higher is better",
        "most frequent text", "nearest row's text", "correlation with image",
    ):  # fmt: skip
        assert words in said
    assert said.endswith(result.verdict)
    section = describe_skill(result)
    assert section is not None
    table = section["texts"]
    assert [row["label"] for row in table["rows"]] == list(by_label(result))
    assert table["rows"][2]["words"] == "worse than the nearest row's text"
    no_texts = describe_skill(replace(result, texts=[]))
    assert no_texts is not None
    assert no_texts["texts"] is None
    assert "BLEU" not in str(replace(result, texts=[]))


def test_evaluate_of_a_fitted_model_and_its_report(tmp_path) -> None:
    from polymodal.report import write_report

    model = MultimodalModel(**tiny()).fit(rows(60, 0))
    result = model.evaluate(rows(30, 1), draws=20)
    assert [one.metric for one in result.texts][:2] == ["bleu", "chrf"]
    path = write_report(tmp_path / "r.html", model, rows(30, 1), evaluation=result)
    page = path.read_text("utf-8")
    assert '<table id="texts">' in page
    assert "correlation with image" in page


def test_unknown_words_match_nothing_and_are_told_of(data) -> None:
    codec, _, train = data
    strange = rows(120, 1)
    texts = [text.replace("red", "mauve") for text in strange.values("caption")]
    arrays = {**{n: strange.values(n) for n in ("v", "image")}, "caption": np.array(texts)}
    test = codec.encode(from_arrays(arrays, kinds={"caption": "text"}))
    share = sum("mauve" in text for text in texts) / (6 * len(texts))
    result = run((codec, test, train), test.x["caption"])
    found = by_label(result)
    said = [text.replace("mauve", "one") for text in texts]
    true = [text.replace("mauve", "two") for text in texts]
    assert found["BLEU"].model.value == pytest.approx(BLEU().corpus_score(said, [true]).score)
    said = [text.replace("one", "\u00b9") for text in said]
    true = [text.replace("two", "\u00b2") for text in true]
    assert found["chrF"].model.value == pytest.approx(CHRF().corpus_score(said, [true]).score)
    assert found["BLEU"].model.value < 100
    assert 0.05 < share < 0.2
    told = f"{share:.0%} of the words of the true texts of caption are not in the model's"
    assert sum(told in note for note in result.notes) == 1


def test_known_words_are_not_told_of(data) -> None:
    assert not any("vocabulary" in note for note in run(data, data[1].x["caption"]).notes)
