"""Coherence of models whose every decoded class is known, against loops by hand."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from tests.evaluate.class_toy import CLASSES, ClassModel, Reads, rows

from polymodal.data.tensors import Tensors
from polymodal.evaluate.coherence import conditional_coherence, joint_coherence, subsets_of
from polymodal.evaluate.decoded import given_means, judge_generated, judge_given
from polymodal.evaluate.judged import evaluate_coherence

NAMES = ("a", "b", "c")
JUDGES = {name: Reads() for name in NAMES}


def known(accuracy: dict, k: int, *, own: bool = False) -> float:
    """The mean by number of inputs, by loops: over targets, then over subsets."""
    each = []
    for given in combinations(NAMES, k):
        targets = [t for t in NAMES if (t in given) == own]
        if targets:
            each.append(sum(accuracy[given, t] for t in targets) / len(targets))
    return sum(each) / len(each)


def random_accuracy(n: int = 50):
    """What judges said at random, what they should have said, and the accuracies by loops."""
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(CLASSES, (n,), generator=generator)
    said = {
        (given, t): torch.randint(CLASSES, (n,), generator=generator)
        for given in subsets_of(NAMES)
        for t in NAMES
    }
    accuracy = {
        key: sum(int(a) == int(b) for a, b in zip(one, codes, strict=True)) / n
        for key, one in said.items()
    }
    return codes, said, accuracy


def shown(classes: torch.Tensor) -> torch.Tensor:
    return classes.float().unsqueeze(-1)


def test_both_conventions_are_those_of_loops_by_hand() -> None:
    codes, said, accuracy = random_accuracy()
    result = conditional_coherence(
        lambda given: {t: shown(said[given, t]) for t in NAMES}, NAMES, codes, JUDGES, resamples=20
    )
    assert set(result.by_inputs) == {1, 2}
    for k in (1, 2):
        assert result.by_inputs[k].value == pytest.approx(known(accuracy, k))
    pairs = [accuracy[(s,), t] for s in NAMES for t in NAMES if s != t]
    assert result.single_source.value == pytest.approx(sum(pairs) / 6)
    assert result.single_source == result.by_inputs[1]
    for k in (1, 2, 3):
        assert result.reconstruction[k].value == pytest.approx(known(accuracy, k, own=True))
    for t in NAMES:
        assert result.synergy[t].value == pytest.approx(accuracy[NAMES, t])
    assert result.constant == pytest.approx(codes.bincount().max().item() / len(codes))
    table = result.table()
    assert len(table) == 7 * 3
    assert table["own"].sum() == 3 * 1 + 3 * 2 + 3
    assert len(result.table(own=False)) == 9
    matrix = result.matrix()
    assert matrix.loc["a", "c"] == pytest.approx(accuracy[("a",), "c"])


def test_peers_with_one_pair_need_no_more_than_two_arrays() -> None:
    codes = torch.tensor([0, 1, 2, 3])
    made = {("a",): shown(torch.tensor([0, 1, 0, 0])), ("b",): shown(codes)}
    result = conditional_coherence(
        lambda given: {t: made[given] for t in "ab" if t not in given},
        ("a", "b"),
        codes,
        {"a": Reads(), "b": Reads()},
        subsets=[("a",), ("b",)],
        resamples=10,
    )
    assert result.by_inputs[1].value == pytest.approx((0.5 + 1.0) / 2)
    assert result.synergy == {}


def test_of_a_model_every_subset_shows_what_it_must() -> None:
    """Two subsets slip in half of the rows, one decoder is shifted: all accuracies are known."""
    model = ClassModel(slips={("b",): 1, ("a", "c"): 1}, shifts={"c": 1})
    test, codes = rows()
    result = evaluate_coherence(model, test, codes, JUDGES, resamples=20)
    # A slip of 1 makes the shifted decoder wrong by 2; without slip it is wrong by 1.
    expected = {
        (given, t): 0.0 if t == "c" else 0.5 if given in (("b",), ("a", "c")) else 1.0
        for given in subsets_of(NAMES)
        for t in NAMES
    }
    conditional = result.conditional
    for pair in conditional.pairs:
        assert pair.accuracy.value == expected[pair.given, pair.target]
        assert pair.macro == pytest.approx(expected[pair.given, pair.target])
    for k in (1, 2):
        assert conditional.by_inputs[k].value == pytest.approx(known(expected, k))
    assert {n: e.value for n, e in conditional.caps.items()} == dict.fromkeys(NAMES, 1.0)
    assert result.joint.agreement.value == 0  # a and b always agree, c never does
    assert result.joint.n == len(test)
    assert not result.joint.warnings


def test_the_posterior_is_never_handed_a_target() -> None:
    """Nothing about a target can leak into what is decoded for it: nor its private latents."""
    model = ClassModel()
    test, _ = rows()
    spoilt = Tensors(
        {name: torch.full_like(x, float("nan")) if name == "b" else x
         for name, x in test.x.items()},
        test.present,
    )  # fmt: skip
    one = judge_given(model, test, JUDGES, [("a", "c")])
    other = judge_given(model, spoilt, JUDGES, [("a", "c")])
    assert set(model.seen) == {("a", "c")}
    assert all(torch.equal(one[key], other[key]) for key in one)
    again = given_means(model, test, ("a", "c"), NAMES)
    assert torch.equal(JUDGES["b"].predict(again["b"]), one[("a", "c"), "b"])


def test_without_reconstructions_the_rest_is_the_same() -> None:
    model = ClassModel(slips={("b",): 1, ("a", "c"): 2}, shifts={"c": 1})
    test, codes = rows()
    whole = evaluate_coherence(model, test, codes, JUDGES, resamples=5).conditional
    part = evaluate_coherence(model, test, codes, JUDGES, own=False, resamples=5).conditional
    assert set(part.reconstruction) == {3}
    assert [pair.accuracy.value for pair in part.pairs] == [
        pair.accuracy.value for pair in whole.pairs if not pair.own or len(pair.given) == 3
    ]
    assert {k: one.value for k, one in part.by_inputs.items()} == {
        k: one.value for k, one in whole.by_inputs.items()
    }
    assert part.synergy_mean.value == whole.synergy_mean.value


def test_labels_judge_and_do_nothing_else() -> None:
    model, (test, codes) = ClassModel(), rows()
    right = evaluate_coherence(model, test, codes, JUDGES, resamples=5)
    wrong = evaluate_coherence(model, test, (codes + 1) % CLASSES, JUDGES, resamples=5)
    assert right.conditional.single_source.value == 1
    assert wrong.conditional.single_source.value == 0


def test_a_collapsed_model_agrees_with_itself_and_is_found_out() -> None:
    model = ClassModel(shifts=dict.fromkeys(NAMES))
    test, codes = rows()
    result = evaluate_coherence(model, test, codes, JUDGES, resamples=20)
    joint = result.joint
    assert joint.agreement.value == 1
    assert joint.chance == 1
    assert joint.histograms == {name: [0, 0, 1, 0] for name in NAMES}
    assert joint.entropy == dict.fromkeys(NAMES, 0.0)
    assert joint.distance == pytest.approx(dict.fromkeys(NAMES, 0.75))
    assert len(joint.warnings) == 3
    assert "collapsed" in str(result)
    assert result.conditional.single_source.value == pytest.approx(0.25)  # chance
    assert result.conditional.constant == pytest.approx(0.25)


def test_a_collapse_is_told_by_the_name_of_the_class() -> None:
    class Named(Reads):
        classes = ("cat", "dog", "eel", "fox")

    test, codes = rows()
    model = ClassModel(shifts=dict.fromkeys(NAMES))
    said = evaluate_coherence(model, test, codes, dict.fromkeys(NAMES, Named()), resamples=5)
    assert all("show one class, eel, which 25% of" in one for one in said.joint.warnings)
    made = dict.fromkeys(("a", "b"), shown(torch.full((9,), 2)))
    joint = joint_coherence(made, JUDGES, torch.arange(CLASSES), CLASSES, resamples=5)
    assert "show one class, number 2, which" in joint.warnings[0]


def test_independent_modalities_agree_by_chance() -> None:
    n = 40_000
    generator = torch.Generator().manual_seed(0)
    made = {name: shown(torch.randint(CLASSES, (n,), generator=generator)) for name in ("a", "b")}
    joint = joint_coherence(made, JUDGES, torch.arange(CLASSES), CLASSES, resamples=100)
    assert joint.chance == pytest.approx(1 / CLASSES, abs=1e-3)
    assert joint.agreement.value == pytest.approx(1 / CLASSES, abs=0.01)
    assert joint.agreement.low < 0.25 < joint.agreement.high
    assert all(one > 0.999 for one in joint.entropy.values())


def test_all_must_agree_and_no_class_agrees_with_nothing() -> None:
    made = {
        "a": shown(torch.tensor([0.0, 1, 2, float("nan")])),
        "b": shown(torch.tensor([0.0, 1, 2, float("nan")])),
        "c": shown(torch.tensor([0.0, 1, 3, float("nan")])),
    }
    joint = joint_coherence(made, JUDGES, torch.arange(CLASSES), CLASSES, resamples=5)
    assert joint.agreement.value == 0.5
    assert joint.histograms["a"] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


def test_rows_without_a_source_or_a_label_are_not_judged() -> None:
    model = ClassModel(slips={("b",): 1})  # slips in rows of even number
    test, codes = rows()
    even = torch.arange(len(test)) % 2 == 0
    present = {**test.present, "b": ~even}
    labels = torch.where(torch.arange(len(test)) < 20, codes, -1)
    result = evaluate_coherence(model, Tensors(test.x, present), labels, JUDGES, resamples=5)
    for pair in result.conditional.pairs:
        assert pair.n == (10 if "b" in pair.given else 20)
        assert pair.accuracy.value == 1  # the rows that slip lack b
    assert result.joint.n == len(test)


def test_order_of_rows_does_not_matter() -> None:
    model = ClassModel(slips={("b",): 1, ("a", "c"): 2}, shifts={"c": 1})
    test, codes = rows()
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(2))
    one = evaluate_coherence(model, test, codes, JUDGES, resamples=5)
    other = evaluate_coherence(model, test.rows(order), codes[order], JUDGES, resamples=5)
    for mine, its in zip(one.conditional.pairs, other.conditional.pairs, strict=True):
        assert mine.accuracy.value == its.accuracy.value
        assert mine.macro == pytest.approx(its.macro)


def test_modalities_without_judge_are_given_but_not_judged() -> None:
    test, codes = rows()
    judges = {name: Reads() for name in "ab"}
    result = evaluate_coherence(ClassModel(), test, codes, judges, resamples=5)
    assert {pair.target for pair in result.conditional.pairs} == {"a", "b"}
    assert ("c",) in {pair.given for pair in result.conditional.pairs}
    assert any(note.startswith("c has no judge") for note in result.notes)
    assert set(result.joint.histograms) == {"a", "b"}
    only = evaluate_coherence(ClassModel(), test, codes, judges, names=("a", "b"), resamples=5)
    assert {pair.given for pair in only.conditional.pairs} == {("a",), ("b",), ("a", "b")}


def test_what_a_family_lacks_is_said() -> None:
    model, (test, codes) = ClassModel(), rows()
    model.lacks = {"generate": "it has no prior.", "translate": "it knows no other."}
    result = evaluate_coherence(model, test, codes, JUDGES, resamples=5)
    assert result.joint is None
    assert result.conditional is None
    assert "it has no prior." in str(result)
    assert "it knows no other." in str(result)
    assert len(result.table()) == 0


def test_results_are_seeded_and_plain() -> None:
    test, codes = rows()
    results = [evaluate_coherence(ClassModel(), test, codes, JUDGES, seed=4) for _ in range(2)]
    assert results[0].to_json() == results[1].to_json()
    drawn = [judge_generated(ClassModel(), 30, JUDGES, seed=s)["a"] for s in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    named = results[0].table().set_index("what")["value"]
    assert named["conditional, 1 input"] == named["conditional, single source"] == 1
    assert named["synergy, mean"] == named["joint"] == 1


def test_intervals_are_those_of_the_rows() -> None:
    """With accuracy p of n independent rows the interval is about p +- 2 sqrt(p (1 - p) / n)."""
    n = 400
    codes = torch.zeros(n, dtype=torch.long)
    said = shown((torch.arange(n) % 4 == 0).long())  # right in 3 of 4
    result = conditional_coherence(
        lambda given: {"b": said}, ("a", "b"), codes, JUDGES, subsets=[("a",)], resamples=2000
    )
    half = 1.96 * (0.75 * 0.25 / n) ** 0.5
    assert result.single_source.value == 0.75
    assert result.single_source.low == pytest.approx(0.75 - half, abs=0.008)
    assert result.single_source.high == pytest.approx(0.75 + half, abs=0.008)


@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_rows_that_are_all_right_or_all_wrong_have_the_exact_interval(n: int) -> None:
    """Clopper and Pearson's for n rows, whatever number of pairs they are averaged over."""
    test, codes = rows(n)
    small = 0.025 ** (1 / n)
    for labels, value, low, high in ((codes, 1, small, 1), (codes + 1, 0, 0, 1 - small)):
        said = evaluate_coherence(ClassModel(), test, labels % CLASSES, JUDGES, resamples=20)
        conditional, joint = said.conditional, said.joint
        shares = [pair.accuracy for pair in conditional.pairs]
        shares += [*conditional.by_inputs.values(), *conditional.reconstruction.values()]
        shares += [*conditional.synergy.values(), *conditional.caps.values()]
        for one in (*shares, conditional.single_source, conditional.synergy_mean):
            assert one.value == value
            assert (one.low, one.high) == pytest.approx((low, high))
        assert (joint.agreement.low, joint.agreement.high) == pytest.approx((small, 1))
        doubts = [note for note in said.notes if "tell little" in note]
        assert len(doubts) == (n < 10)
        assert all(note.startswith(f"Only {n} test row") for note in doubts)


def test_shares_of_fewer_rows_have_wider_bounds_and_so_has_their_mean() -> None:
    model, (test, codes) = ClassModel(("a", "b")), rows(40, ("a", "b"))
    present = {**test.present, "b": torch.arange(40) < 4}
    said = evaluate_coherence(model, Tensors(test.x, present), codes, JUDGES, resamples=20)
    low = {pair.n: pair.accuracy.low for pair in said.conditional.pairs if len(pair.given) == 1}
    assert low == pytest.approx({40: 0.025 ** (1 / 40), 4: 0.025 ** (1 / 4)})
    assert said.conditional.single_source.low == pytest.approx((low[40] + low[4]) / 2)
    assert said.notes == [
        "4 of 6 pairs of what was given and decoded stand on fewer than 10 rows (n in the table): "
        "so few tell little."
    ]


def test_hardly_any_new_rows_are_doubted_too() -> None:
    test, codes = rows()
    said = evaluate_coherence(ClassModel(), test, codes, JUDGES, samples=3, resamples=5)
    assert said.notes == [
        "Only 3 new rows were judged: so few tell little, whatever the intervals."
    ]


def test_many_modalities_are_not_asked_in_all_subsets() -> None:
    names = tuple("abcdefghij")
    assert len(subsets_of(names[:8])) == 255
    sizes = [len(subset) for subset in subsets_of(names)]
    assert sizes == [1] * 10 + [9] * 10 + [10]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(3)}, "40 rows, but 3 labels"),
        ({"labels": torch.full((40,), -1)}, "no row has a label"),
        ({"judges": {}}, "none of a, b, c has a judge"),
        ({"names": ("a", "d")}, "no modality 'd'"),
    ],
)
def test_errors_say_what_to_do(change: dict, message: str) -> None:
    test, codes = rows()
    asked = {"labels": codes, "judges": JUDGES, **change}
    with pytest.raises(ValueError, match=message):
        evaluate_coherence(ClassModel(), test, **asked)
