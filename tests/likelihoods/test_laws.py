"""Every likelihood obeys the shipped laws, in three batch shapes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from polymodal.distributions.tokens import END, PAD
from polymodal.likelihoods import (
    AutoregressiveTextLikelihood,
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
    Likelihood,
    MixedLikelihood,
    NegativeBinomialLikelihood,
    OrdinalLikelihood,
    PoissonLikelihood,
    TokenLikelihood,
)
from polymodal.networks import TextStepDecoder
from polymodal.testing.likelihoods import (
    Support,
    check_absent_cells_never_matter,
    check_density_sums_to_one,
    check_gradient_reaches_every_parameter,
    check_likelihood,
    check_samples_match_the_density,
)
from polymodal.typing import Column

TABLE = (
    Column("island", "category", 3),
    Column("mass", "number"),
    Column("eggs", "count"),
    Column("grade", "ordinal", 4),
    Column("sex", "category", 2),
    Column("income", "positive"),
    Column("size", "ordinal", 2),
    Column("one", "category", 1),
)


class TinyStep(nn.Module):
    """Logits from the context and the mean of the tokens before: enough to test a likelihood."""

    def __init__(self, context_features: int, vocabulary: int) -> None:
        super().__init__()
        self.context_features = context_features
        self.words = nn.Embedding(vocabulary, 3)
        self.out = nn.Linear(context_features + 3, vocabulary)

    def forward(self, context: Tensor, tokens: Tensor) -> Tensor:
        n, t = tokens.shape
        seen = self.words(tokens).cumsum(1).roll(1, 1)
        seen = torch.cat([torch.zeros_like(seen[:, :1]), seen[:, 1:]], 1)
        return self.out(torch.cat([context[:, None].expand(n, t, -1).to(seen.dtype), seen], -1))


def text() -> AutoregressiveTextLikelihood:
    return AutoregressiveTextLikelihood(4, 6, TinyStep(2, 6))


INSTANCES: dict[str, Callable[[], Likelihood]] = {
    "gaussian scalar": lambda: GaussianLikelihood(3),
    "gaussian feature": lambda: GaussianLikelihood((2, 3), "feature"),
    "gaussian output": lambda: GaussianLikelihood((2, 3), "output"),
    "gaussian fixed": lambda: GaussianLikelihood(3, 0.5),
    "laplace scalar": lambda: LaplaceLikelihood((3, 4, 4), initial=0.3),
    "laplace feature": lambda: LaplaceLikelihood(3, "feature"),
    "laplace output": lambda: LaplaceLikelihood((2, 3, 3), "output"),
    "laplace fixed": lambda: LaplaceLikelihood(3, 0.5),
    "bernoulli": lambda: BernoulliLikelihood(3),
    "bernoulli image": lambda: BernoulliLikelihood((1, 2, 2)),
    "bernoulli beyond rates": lambda: BernoulliLikelihood((2, 3), base_rates=True),
    "category": lambda: CategoricalLikelihood(4),
    "ordinal": lambda: OrdinalLikelihood(4),
    "negative binomial": lambda: NegativeBinomialLikelihood(3),
    "poisson": lambda: PoissonLikelihood(3),
    "poisson series": lambda: PoissonLikelihood((2, 4)),
    "tokens": lambda: TokenLikelihood(4, 7),
    "tokens that are never none": lambda: TokenLikelihood(4, 7, never_empty=True),
    "text": text,
    "text that is never empty": lambda: AutoregressiveTextLikelihood(
        4, 6, TinyStep(2, 6), never_empty=True
    ),
    "text of a network": lambda: AutoregressiveTextLikelihood(
        4, 6, TextStepDecoder(2, 4, 6, width=8, layers=1, heads=2)
    ),
    "table": lambda: MixedLikelihood(TABLE),
    "numbers": lambda: MixedLikelihood(TABLE[1:2]),
    "categories": lambda: MixedLikelihood(TABLE[:1]),
    "ordinals": lambda: MixedLikelihood(TABLE[3:4]),
    "counts": lambda: MixedLikelihood(TABLE[2:3]),
}


def line() -> Support:
    """The real line, as far as a standard normal and its neighbours reach."""
    values = torch.linspace(-30, 30, 30001)
    return Support(values[:, None], torch.full((len(values),), 60 / 30000))


def naturals(n: int, *shape: int) -> Support:
    return Support(torch.arange(n).reshape(-1, *shape), torch.ones(n))


def counts(n: int) -> Support:
    return Support(torch.arange(n)[:, None].float(), torch.ones(n))


def texts(length: int, vocabulary: int) -> Support:
    """All texts: words, an end token if there is room, padding."""
    rows = [
        [*words, *[END] * (n < length), *[PAD] * (length - n - 1)]
        for n in range(length + 1)
        for words in itertools.product(range(3, vocabulary), repeat=n)
    ]
    return Support(torch.tensor(rows), torch.ones(len(rows)))


def small_table() -> Support:
    """Codes of three columns, one of them with a single level."""
    rows = itertools.product(range(3), range(4), range(2), range(1))
    values = torch.tensor(list(rows)).float()
    return Support(values, torch.ones(len(values)))


SMALL: dict[str, tuple[Callable[[], Likelihood], Callable[[], Support]]] = {
    "gaussian": (lambda: GaussianLikelihood(1), line),
    "gaussian output": (lambda: GaussianLikelihood(1, "output"), line),
    "laplace": (lambda: LaplaceLikelihood(1, "feature"), line),
    "bernoulli": (lambda: BernoulliLikelihood(1), lambda: counts(2)),
    "bernoulli beyond rates": (
        lambda: BernoulliLikelihood(1, base_rates=True),
        lambda: counts(2),
    ),
    "category": (lambda: CategoricalLikelihood(4), lambda: naturals(4)),
    "ordinal": (lambda: OrdinalLikelihood(4), lambda: naturals(4)),
    "ordinal of one level": (lambda: OrdinalLikelihood(1), lambda: naturals(1)),
    "negative binomial": (lambda: NegativeBinomialLikelihood(1), lambda: counts(400)),
    "poisson": (lambda: PoissonLikelihood(1), lambda: counts(400)),
    "tokens": (lambda: TokenLikelihood(3, 6), lambda: texts(3, 6)),
    "tokens never none": (
        lambda: TokenLikelihood(3, 6, never_empty=True),
        lambda: texts(3, 6),
    ),
    "text": (text, lambda: texts(4, 6)),
    "table number": (lambda: MixedLikelihood(TABLE[1:2]), line),
    "table count": (lambda: MixedLikelihood(TABLE[2:3]), lambda: counts(400)),
    "table codes": (
        lambda: MixedLikelihood([TABLE[0], TABLE[3], TABLE[4], TABLE[7]]),
        small_table,
    ),
}


@pytest.mark.parametrize("leading", [(1,), (5,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("name", INSTANCES)
def test_every_likelihood_obeys_the_laws(name: str, leading: tuple[int, ...]) -> None:
    for _, law in check_likelihood(INSTANCES[name](), leading=leading):
        law()


@pytest.mark.parametrize("name", SMALL)
def test_densities_sum_to_one_and_samples_match(name: str) -> None:
    make, support = SMALL[name]
    check_density_sums_to_one(make(), support())
    check_samples_match_the_density(make(), support())


def test_laws_that_need_a_support_are_run_with_one() -> None:
    laws = [law for law, _ in check_likelihood(BernoulliLikelihood(1), support=counts(2))]
    assert laws[-2:] == ["check_density_sums_to_one", "check_samples_match_the_density"]


@pytest.mark.parametrize("name", INSTANCES)
def test_the_laws_hold_in_double_precision(name: str) -> None:
    for _, law in check_likelihood(INSTANCES[name]().double()):
        law()


class Careless(GaussianLikelihood):
    """Breaks laws: multiplies by the mask, and forgets the normaliser and its own scale."""

    class Observed(GaussianLikelihood.observed):
        def log_prob(self, value: Tensor, cells: Tensor | None = None) -> Tensor:
            cells = torch.ones_like(value) if cells is None else cells
            return -((value - self.loc).square() * cells).flatten(-1).sum(-1)

    observed = Observed


def test_the_laws_catch_a_careless_likelihood() -> None:
    careless = Careless(1)
    with pytest.raises(AssertionError, match=r"a filling matters|not finite"):
        check_absent_cells_never_matter(careless)
    with pytest.raises(AssertionError, match="raw"):
        check_gradient_reaches_every_parameter(careless)
    with pytest.raises(AssertionError):
        check_density_sums_to_one(careless, line())
