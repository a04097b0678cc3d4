"""Ranks, intervals and pairing against closed forms, scipy and brute force."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats
import torch

from polymodal.evaluate.bootstrap import bootstrap, resample_counts
from polymodal.evaluate.ranking import Ranking, average, student_draws
from polymodal.evaluate.result import Estimate
from polymodal.evaluate.sheet import Asked, ErrorOf, Measured, RowSums, Sheet, sheet_of

R = 400


def asked(modality: str = "a", n: int = 50, column: str | None = None) -> Asked:
    return Asked("modality", modality, column, "number", n)


def sheet(errors: Sequence[float], spread: Sequence[torch.Tensor], what: Sequence[Asked]) -> Sheet:
    """A sheet whose errors move with given noise of the resamples, ``(R,)`` each."""
    whole = torch.tensor(errors, dtype=torch.float64)
    return Sheet(tuple(what), whole, whole + torch.stack(list(spread), 1))


def noise(seed: int, size: float) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return size * torch.randn(R, generator=g, dtype=torch.float64)


def ranking(errors: dict[str, list[float]], wobble: float = 0.0, n: int = 50) -> Ranking:
    """Methods with an error a seed; one thing asked; all resamples move together by ``wobble``."""
    shared = noise(0, wobble)
    sheets = {
        name: [sheet([e], [shared], [asked(n=n)]) for e in seeds] for name, seeds in errors.items()
    }
    simple = {"mean": [1.0], "linear": [0.8], "knn": [0.9]}
    base = {name: [sheet([e], [shared], [asked(n=n)]) for e in s] for name, s in simple.items()}
    return Ranking({**sheets, **base})


def test_skill_of_one_thing_is_that_of_evaluate() -> None:
    """1 - error / error of the best baseline, whatever the mean's error is."""
    found = ranking({"one": [0.6], "two": [0.4, 0.8]})
    assert found.skill["one"].value == pytest.approx(1 - 0.6 / 0.8)
    assert found.skill["two"].value == pytest.approx(1 - 0.6 / 0.8)
    assert found.skill["linear"].value == 0.0
    assert found.skill["mean"].value == pytest.approx(1 - 1.0 / 0.8)


def test_skill_pools_columns_then_modalities() -> None:
    things = [asked("t", column="x"), asked("t", column="y"), asked("image")]
    still = [torch.zeros(R, dtype=torch.float64)] * 3
    errors = {
        "mean": [2.0, 10.0, 0.5],
        "linear": [1.0, 8.0, 0.4],
        "knn": [1.5, 6.0, 0.45],
        "it": [0.5, 7.0, 0.1],
    }
    found = Ranking({name: [sheet(e, still, things)] for name, e in errors.items()})
    best = ((1 / 2 + 6 / 10) / 2 + 0.4 / 0.5) / 2
    it = ((0.5 / 2 + 7 / 10) / 2 + 0.1 / 0.5) / 2
    assert found.skill["it"].value == pytest.approx(1 - it / best)
    assert found.skill_at["t"]["it"].value == pytest.approx(1 - 0.475 / 0.55)
    assert found.skill_at["image"]["it"].value == pytest.approx(0.75)
    assert found.modalities == ("t", "image")


def test_what_the_mean_always_gets_right_does_not_count() -> None:
    things = [asked("t", column="constant"), asked("t", column="y")]
    still = [torch.zeros(R, dtype=torch.float64)] * 2
    errors = {"mean": [0.0, 1.0], "linear": [0.0, 0.5], "knn": [0.0, 0.6], "it": [3.0, 0.25]}
    found = Ranking({name: [sheet(e, still, things)] for name, e in errors.items()})
    assert found.skill["it"].value == pytest.approx(0.5)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_without_spread_over_rows_the_interval_is_students(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(size=seeds)
    still = [Measured(v, torch.full((20_000,), v, dtype=torch.float64)) for v in values]
    found = average(still, "it").estimate
    low, high = scipy.stats.t.interval(
        0.95, seeds - 1, loc=values.mean(), scale=scipy.stats.sem(values)
    )
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high), rel=2e-3)


def test_without_spread_over_seeds_the_interval_is_the_bootstraps() -> None:
    replicates = noise(1, 0.2) + 1.0
    one, three = (average([Measured(1.0, replicates)] * n, "it").estimate for n in (1, 3))
    wanted = np.quantile(replicates.numpy(), [0.025, 0.975])
    assert (one.low, one.high) == pytest.approx(tuple(wanted))
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_the_interval_covers_both_sources() -> None:
    """Simulated: means of 3 noisy seeds on noisy rows; 95 % intervals hold the truth in 95 %."""
    rng, held, runs = np.random.default_rng(3), 0, 600
    for _ in range(runs):
        rows = rng.normal(scale=0.3)
        values = rows + rng.normal(scale=0.3, size=3)
        resampled = torch.from_numpy(rng.normal(scale=0.3, size=R))
        found = average([Measured(v, v + resampled) for v in values], "it").estimate
        held += found.low <= 0 <= found.high
    assert held / runs > 0.93


def test_students_draws_are_its_quantiles_and_differ_by_name() -> None:
    one, two = student_draws(4, 999, "mopoe"), student_draws(4, 999, "mvtcae")
    assert one.equal(student_draws(4, 999, "mopoe"))
    assert one.sort().values.equal(two.sort().values)
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1
    assert scipy.stats.kstest(one.numpy(), scipy.stats.t(4).cdf).statistic < 1e-3


def test_pairing_tells_apart_what_intervals_alone_cannot() -> None:
    """Rows move both methods together: their intervals overlap, their difference is certain."""
    found = ranking({"a": [0.50], "b": [0.52]}, wobble=0.05)
    a, b = found.skill["a"].estimate, found.skill["b"].estimate
    assert a.low < b.high
    assert found.beats("a", "b")
    assert not found.beats("b", "a")
    assert not found.beats("a", "a")


def test_ranks_are_those_of_brute_force_with_ties() -> None:
    things = [asked()]
    means = {"p": 0.50, "q": 0.51, "r": 0.60, "s": 0.505, "t": 0.9}
    rows = {name: noise(i, 0.02) for i, name in enumerate(means)}
    sheets = {name: [sheet([e], [rows[name]], things)] for name, e in means.items()}
    still = torch.zeros(R, dtype=torch.float64)
    simple = {"mean": 1.0, "linear": 0.8, "knn": 0.7}
    sheets |= {name: [sheet([e], [still], things)] for name, e in simple.items()}
    found = Ranking(sheets)
    skills = {n: (1 - s[0].replicates[:, 0] / 0.7).numpy() for n, s in sheets.items()}
    wanted = {
        n: 1 + sum(np.quantile(skills[o] - skills[n], 0.025) > 0 for o in skills) for n in skills
    }
    assert found.ranks() == wanted
    assert wanted["p"] == wanted["q"] == wanted["s"] == 1
    assert wanted["r"] == 4
    assert wanted["knn"] == 5
    assert wanted["linear"] == 6
    assert wanted["t"] == 7
    assert wanted["mean"] == 8


def test_the_order_of_methods_and_columns_of_seeds_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    errors = {name: list(rng.uniform(0.4, 0.7, 3)) for name in "abc"}
    first = ranking(errors, wobble=0.03)
    for order in itertools.permutations("abc"):
        found = ranking({name: errors[name] for name in order}, wobble=0.03)
        assert found.ranks() == first.ranks()
        for name in "abc":
            assert found.skill[name].estimate == first.skill[name].estimate


def test_a_noisy_recipe_is_not_told_apart_by_few_seeds() -> None:
    found = ranking({"steady": [0.50, 0.51, 0.505], "wild": [0.2, 0.9, 0.7]})
    assert found.ranks()["wild"] == found.ranks()["steady"] == 1
    assert found.ranks()["linear"] == 2


def test_noise_gives_no_better_rank_than_more_skill() -> None:
    """Nothing proves the noisy one worse than what surely loses to linear regression."""
    found = ranking({"steady": [0.84, 0.85, 0.86], "wild": [0.2, 1.4, 1.2]})
    assert found.beats("linear", "steady")
    assert not any(found.beats(other, "wild") for other in found.sheets)
    assert found.ranks() == {"linear": 1, "steady": 2, "knn": 3, "wild": 3, "mean": 4}
    # Of two with the same skill neither stands above.
    found = ranking({"steady": [0.875, 0.875], "wild": [0.5, 1.25]})
    assert found.skill["steady"].value == found.skill["wild"].value
    assert found.ranks()["steady"] == found.ranks()["wild"] == 2


def test_few_rows_tell_nothing() -> None:
    found = ranking({"good": [0.1], "bad": [0.9]}, n=9)
    assert not found.telling
    assert set(found.ranks().values()) == {1}


def test_rows_of_several_questions_add_up_and_count_once() -> None:
    things = [asked(n=6, column="x"), asked(n=6, column="y")]
    still = [torch.zeros(R, dtype=torch.float64)] * 2
    errors = {"mean": 1.0, "linear": 0.8, "knn": 0.9, "good": 0.1}
    sheets = {name: [sheet([e, e], still, things)] for name, e in errors.items()}
    for start, n_rows in ((0, 6), (3, 9), (4, 10), (6, 12)):
        found = Ranking(sheets, [torch.arange(6), torch.arange(start, start + 6)])
        assert found.count_rows(lambda one: one.kind == "number") == n_rows
        assert found.count_rows(lambda one: one.column == "x") == 6
        assert found.count_rows(lambda one: one.kind == "text") == 0
        assert found.telling == (n_rows >= 10)
        assert (found.ranks()["linear"] == 2) == (n_rows >= 10)
    with pytest.raises(ValueError, match=r"\[6, 6\] rows, asked_rows of \[6, 5\]"):
        Ranking(sheets, [torch.arange(6), torch.arange(5)])


def test_few_rows_of_a_modality_tell_nothing_there() -> None:
    things = [asked("a", n=50), asked("b", n=9)]
    still = [torch.zeros(R, dtype=torch.float64)] * 2
    errors = {"mean": 1.0, "linear": 0.8, "knn": 0.9, "good": 0.1}
    found = Ranking({name: [sheet([e, e], still, things)] for name, e in errors.items()})
    assert found.beats("good", "linear")
    assert found.beats("good", "linear", "a")
    assert not found.beats("good", "linear", "b")


def test_sheets_of_other_questions_are_refused() -> None:
    still = [torch.zeros(R, dtype=torch.float64)]
    sheets = {name: [sheet([1.0], still, [asked()])] for name in ("mean", "linear", "knn")}
    with pytest.raises(ValueError, match="other questions"):
        Ranking({**sheets, "it": [sheet([1.0], still, [asked("b")])]})
    with pytest.raises(ValueError, match="'knn'"):
        Ranking({name: sheets[name] for name in ("mean", "linear")})


def test_a_sheet_is_the_paired_bootstrap_of_its_rows() -> None:
    """Replicates against a loop over resamples, for errors of a part of the rows and for sums."""
    g = torch.Generator().manual_seed(0)
    squares = torch.rand(30, generator=g, dtype=torch.float64)
    rows = torch.arange(5, 30)

    def error(weights: torch.Tensor) -> torch.Tensor:
        return ((weights @ squares[rows]) / weights.sum(1)).sqrt()

    sums = RowSums(torch.rand(30, generator=g), (torch.rand(30, generator=g) > 0.5).float())
    found = sheet_of(
        [ErrorOf(asked(n=25), rows, error, 1e-9)],
        {"coverage": sums},
        lambda statistic: bootstrap(statistic, 30, resamples=40, seed=7),
        {},
    )
    counts = resample_counts(30, 40, torch.Generator().manual_seed(7)).long()
    for r in range(40):
        picked = torch.repeat_interleave(torch.arange(30), counts[r])
        inside = picked[picked >= 5]
        assert found.replicates[r, 0].item() == pytest.approx(squares[inside].mean().sqrt().item())
        share = sums.values[picked].double().sum() / sums.counts[picked].double().sum()
        assert found.measures["coverage"].replicates[r].item() == pytest.approx(share.item())
    assert found.errors[0].item() == pytest.approx(squares[5:].mean().sqrt().item())
    again = Sheet.unpack(*found.pack())
    assert again.asked == found.asked
    assert again.replicates.equal(found.replicates)
    assert again.measures["coverage"].value == found.measures["coverage"].value


def test_the_interval_of_a_share_stays_a_share() -> None:
    seeds = [Measured(value, torch.full((200,), value)) for value in (0.05, 0.02, 0.2)]
    found = average(seeds, "a")
    assert found.estimate.low < 0
    assert found.share == Estimate(found.estimate.value, 0.0, found.estimate.high)
