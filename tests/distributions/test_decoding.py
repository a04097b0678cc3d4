"""Ways to write a text against the enumeration of all texts of a small vocabulary."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from polymodal.distributions.decoding import Decoding
from polymodal.distributions.special_tokens import END, PAD, UNKNOWN
from polymodal.distributions.tokens import (
    AutoregressiveObserved,
    TextObserved,
    TokenObserved,
    score_tokens,
)
from polymodal.distributions.writing import kept, length_penalty
from polymodal.networks import TextStepDecoder
from polymodal.random import seeded

VOCABULARY, LENGTH, ROWS = 7, 4, 7
F64 = torch.float64


class Table(nn.Module):
    """Logits that depend on the place and the token before, and on the context by its sign."""

    context_features = 2

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        shape = (LENGTH, VOCABULARY, 2, VOCABULARY)
        self.table = 1.2 * torch.randn(shape, generator=generator, dtype=F64)

    def forward(self, context: Tensor, tokens: Tensor) -> Tensor:
        before = torch.cat([torch.ones_like(tokens[:, :1]), tokens[:, :-1]], 1)
        place = torch.arange(tokens.shape[1])
        return torch.einsum("ntfv,nf->ntv", self.table[place, before], context)


def all_texts() -> Tensor:
    """Every text of at most LENGTH tokens, ended or full, (N, LENGTH)."""
    words, texts = range(END + 1, VOCABULARY), []
    for n in range(LENGTH + 1):
        end = [END] if n < LENGTH else []
        pad = [PAD] * (LENGTH - n - len(end))
        texts += [[*said, *end, *pad] for said in itertools.product(words, repeat=n)]
    return torch.tensor(texts)


TEXTS = all_texts()
KNOWN = TEXTS[(TEXTS != UNKNOWN).all(1)]
"""Those that may be written."""


def step_by_step(seed: int = 0) -> AutoregressiveObserved:
    context = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(seed + 9), dtype=F64)
    return AutoregressiveObserved(context, Table(seed), LENGTH)


def all_at_once(seed: int = 0) -> TokenObserved:
    shape = (ROWS, LENGTH, VOCABULARY)
    generator = torch.Generator().manual_seed(seed)
    return TokenObserved(2 * torch.randn(shape, generator=generator, dtype=F64))


def network(seed: int = 0) -> AutoregressiveObserved:
    with seeded(seed):
        step = TextStepDecoder(2, LENGTH, VOCABULARY, width=8, layers=2, heads=2).double().eval()
        for parameter in step.parameters():
            parameter.data += torch.randn_like(parameter) * 0.5
        return AutoregressiveObserved(torch.randn(ROWS, 2, dtype=F64), step, LENGTH)


INSTANCES = [step_by_step, all_at_once, network]


def scores(observed: TextObserved, texts: Tensor = TEXTS) -> Tensor:
    """Log-probabilities of texts, (texts, ROWS)."""
    with torch.no_grad():
        return torch.stack([observed.log_prob(text.expand(ROWS, -1)) for text in texts])


def n_tokens(texts: Tensor) -> Tensor:
    return (texts != PAD).sum(-1)


def test_all_texts_are_all_texts() -> None:
    for make in INSTANCES:
        torch.testing.assert_close(scores(make()).exp().sum(0), torch.ones(ROWS, dtype=F64))


@pytest.mark.parametrize("make", INSTANCES)
@pytest.mark.parametrize("power", [0.0, 0.7, 2.0])
def test_a_beam_as_wide_as_all_beginnings_finds_the_best_text(make, power: float) -> None:
    width = (VOCABULARY - END) ** (LENGTH - 1)
    for seed in range(3):
        observed = make(seed)
        ranks = scores(observed, KNOWN) / length_penalty(n_tokens(KNOWN)[:, None].double(), power)
        said = observed.write(Decoding("beam", width=width, length_power=power))
        assert torch.equal(said, KNOWN[ranks.argmax(0)])


@pytest.mark.parametrize("make", INSTANCES)
def test_a_beam_of_one_is_greedy(make) -> None:
    for seed in range(5):
        observed = make(seed)
        greedy = observed.write(Decoding("greedy"))
        assert torch.equal(greedy, observed.mode)
        assert torch.equal(greedy, observed.write(Decoding("beam", width=1)))
        assert torch.equal(greedy, observed.write(Decoding("beam", width=1, length_power=0.5)))


def test_a_beam_finds_what_greed_misses() -> None:
    table = Table()
    table.table[:] = torch.full((), -50.0, dtype=F64)
    # 4 looks best at first, .6 against .4, but then nothing is sure; after 5 the end is
    table.table[0, 1, 0, 4], table.table[0, 1, 0, 5] = math.log(0.6), math.log(0.4)
    table.table[1, 4, 0, [END, 4, 5, 6]] = math.log(0.25)
    table.table[1, 5, 0, END] = 0.0
    observed = AutoregressiveObserved(torch.tensor([[1.0, 0.0]], dtype=F64), table, LENGTH)
    assert observed.mode[0, 0] == 4
    said = observed.write(Decoding("beam", width=2))
    assert said.tolist() == [[5, END, PAD, PAD]]
    torch.testing.assert_close(observed.log_prob(said).exp(), torch.tensor([0.4], dtype=F64))


@pytest.mark.parametrize("make", INSTANCES)
def test_what_is_written_is_a_text_and_rows_do_not_meet(make) -> None:
    observed = make()
    for how in (Decoding("beam", width=3), Decoding("beam", width=50), Decoding("greedy")):
        said = observed.write(how)
        assert said.shape == (ROWS, LENGTH)
        assert (scores(observed)[0].isfinite()).all()
        assert observed.log_prob(said).isfinite().all()
        alone = [one_row(observed, i).write(how) for i in range(ROWS)]
        assert torch.equal(torch.cat(alone), said)


def one_row(observed: TextObserved, i: int) -> TextObserved:
    if isinstance(observed, TokenObserved):
        return TokenObserved(observed.logits[i : i + 1])
    return AutoregressiveObserved(observed.context[i : i + 1], observed.step, LENGTH)


@pytest.mark.parametrize(
    "how",
    [
        Decoding("sample"),
        Decoding("sample", temperature=0.6),
        Decoding("sample", temperature=1.5, top_k=2),
        Decoding("sample", top_p=0.7),
        Decoding("sample", temperature=0.8, top_k=3, top_p=0.8),
    ],
)
def test_texts_are_drawn_as_often_as_is_likely(how: Decoding) -> None:
    """Chi-square of 20,000 draws against the exact probabilities, at one in a million."""
    observed, n = step_by_step(), 20_000
    one = AutoregressiveObserved(observed.context[:1].expand(n, 2), observed.step, LENGTH)
    with seeded(1):
        drawn = one.write(how)
    p = np.array([probability(observed, text, how) for text in TEXTS.tolist()])
    assert abs(p.sum() - 1) < 1e-9
    key = {tuple(text): i for i, text in enumerate(TEXTS.tolist())}
    seen = np.bincount([key[tuple(text)] for text in drawn.tolist()], minlength=len(TEXTS))
    assert seen[p == 0].sum() == 0
    rare = p * n < 5
    expected = np.append(p[~rare], p[rare].sum()) * n
    counted = np.append(seen[~rare], seen[rare].sum())
    keep = expected > 0
    assert stats.chisquare(counted[keep], expected[keep]).pvalue > 1e-6


def probability(observed: TextObserved, text: list[int], how: Decoding) -> float:
    """Of one text for the first row, written out by the definitions."""
    if isinstance(observed, AutoregressiveObserved):
        logits = observed.step(observed.context[:1], torch.tensor([text]))[0].numpy()
    else:
        assert isinstance(observed, TokenObserved)
        logits = observed.logits[0].numpy()
    total = 1.0
    for place, token in enumerate(text):
        if token == PAD:
            break
        p = np.exp(logits[place, END:] / how.temperature)
        p[UNKNOWN - END] = 0
        if observed.never_empty and place == 0:
            p[0] = 0
        p /= p.sum()
        order = np.argsort(-p)
        if how.top_k is not None:
            p[order[how.top_k :]] = 0
            p /= p.sum()
        if how.top_p is not None:
            n = int(np.searchsorted(np.cumsum(p[order]), how.top_p)) + 1
            p[order[n:]] = 0
            p /= p.sum()
        total *= p[token - END]
    return total


def test_the_limits_of_sampling_are_greedy_and_plain() -> None:
    observed = step_by_step()
    with seeded(2):
        for how in (
            Decoding("sample", top_k=1),
            Decoding("sample", top_p=1e-9),
            Decoding("sample", temperature=1e-6),
        ):
            assert torch.equal(observed.write(how), observed.mode)
    logits = torch.randn(5, 4, dtype=F64)
    plain = logits.log_softmax(-1)
    torch.testing.assert_close(kept(logits, Decoding("sample", top_k=9)), plain)
    torch.testing.assert_close(kept(logits, Decoding("sample", top_p=1.0)), plain)
    tied = kept(torch.zeros(1, 4, dtype=F64), Decoding("sample", top_k=2))
    assert tied.exp().tolist() == [[0.5, 0.5, 0.0, 0.0]]


def test_what_was_read_is_not_read_again() -> None:
    """The state that goes on gives the logits of one reading, also after rows were chosen."""
    observed = network()
    step, tokens = observed.step, torch.randint(2, VOCABULARY, (ROWS, LENGTH))
    order = torch.tensor([3, 3, 0, 6])
    with torch.no_grad():
        whole = step(observed.context, tokens)
        state, last = step.begin(observed.context), None
        for place in range(LENGTH):
            if place == 2:
                state, last = state.select(order), last[order]
                whole, tokens = whole[order], tokens[order]
            logits, state = step.advance(state, last)
            torch.testing.assert_close(logits, whole[:, place])
            last = tokens[:, place]
        with pytest.raises(ValueError, match="at most 4 tokens"):
            step.advance(state, last)


def test_batches_of_any_shape_are_written() -> None:
    observed = step_by_step()
    context = observed.context[:6].reshape(2, 3, 2)
    for how in (Decoding("beam", width=2), Decoding("sample"), Decoding()):
        said = AutoregressiveObserved(context, observed.step, LENGTH).write(how)
        assert said.shape == (2, 3, LENGTH)
    none = AutoregressiveObserved(context[:0], observed.step, LENGTH)
    assert none.write(Decoding("beam")).shape == (0, 3, LENGTH)
    assert none.mode.dtype == torch.int64


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"method": "beem"}, "greedy, beam or sample"),
        ({"width": 8}, "width belongs to beam"),
        ({"method": "beam", "temperature": 0.5}, "temperature belongs to sample"),
        ({"method": "beam", "width": 0}, "width must be a whole number"),
        ({"method": "beam", "length_power": -1}, "length_power"),
        ({"method": "sample", "temperature": 0.0}, "above 0"),
        ({"method": "sample", "temperature": math.nan}, "above 0"),
        ({"method": "sample", "top_k": 1.5}, "top_k must be a whole number"),
        ({"method": "sample", "top_p": 0.0}, "top_p must be in"),
        ({"method": "sample", "top_p": True}, "top_p must be in"),
    ],
)
def test_a_decoding_that_can_not_be_is_one_sentence(said: dict, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Decoding(**said)


def test_a_decoding_can_be_said_in_words() -> None:
    assert Decoding.of(None) is None
    assert Decoding.of("greedy") == Decoding()
    assert Decoding.of("beam,width=8, length_power=1") == Decoding("beam", 8, 1.0)
    assert Decoding.of(Decoding("sample", top_k=3)) == Decoding.of("sample, top_k=3")
    for words, fault in (
        ("bean", "expected greedy, beam or sample"),
        ("beam, 8", "written name=value"),
        ("beam, top_k=8", "beam has the settings width, length_power"),
        ("sample, top_k=x", "must be a number"),
        ("greedy, width=2", "has the settings .none."),
    ):
        with pytest.raises(ValueError, match=fault):
            Decoding.of(words)
    with pytest.raises(TypeError, match="Decoding or its words"):
        Decoding.of(3)  # type: ignore[arg-type]


def test_texts_read_by_length_have_the_scores_of_one_reading() -> None:
    observed = network()
    step = observed.step
    n_rows = 61
    context = torch.randn(n_rows, 2, dtype=F64, requires_grad=True)
    tokens = TEXTS[torch.randint(len(TEXTS), (n_rows,))]
    said = AutoregressiveObserved(context, step, LENGTH).log_prob(tokens)
    wanted = score_tokens(step(context, tokens), tokens)
    torch.testing.assert_close(said, wanted)
    (one,) = torch.autograd.grad(said.sum(), context)
    (other,) = torch.autograd.grad(wanted.sum(), context)
    torch.testing.assert_close(one, other)
    absent = torch.zeros(n_rows, dtype=torch.bool)
    assert (AutoregressiveObserved(context, step, LENGTH).log_prob(tokens, absent) == 0).all()


def never_empty(observed: TextObserved) -> TextObserved:
    """As it is, but for the empty text; the end is made likely at first, so that it matters."""
    observed.never_empty = True
    if isinstance(observed, TokenObserved):
        observed.logits[:, 0, END] += 6
    elif isinstance(observed, AutoregressiveObserved) and isinstance(observed.step, Table):
        observed.step.table[0, 1, :, END] += 6
    return observed


@pytest.mark.parametrize("make", INSTANCES)
def test_what_is_never_empty_is_the_best_of_the_other_texts(make) -> None:
    width, some = (VOCABULARY - END) ** (LENGTH - 1), KNOWN[KNOWN[:, 0] != END]
    for seed in range(3):
        observed = never_empty(make(seed))
        said = observed.write(Decoding("beam", width=width))
        assert torch.equal(said, some[scores(observed, some).argmax(0)])
        for how in ("greedy", "beam, width=1", "beam, width=3", "sample", "sample, top_k=2"):
            assert (observed.write(Decoding.of(how))[:, 0] != END).all()
        assert torch.equal(observed.mode, observed.write(Decoding("greedy")))


@pytest.mark.parametrize("make", [step_by_step, all_at_once])
def test_what_is_drawn_is_never_empty_and_samples_are_as_they_are(make) -> None:
    observed, n = never_empty(make()), 4000
    p = scores(observed)[:, 0].exp()
    assert p[TEXTS[:, 0] == END].item() > 0.1  # it is ruled out, not unlikely
    torch.testing.assert_close(p.sum(), torch.ones((), dtype=F64))
    with seeded(0):
        drawn = many_of_first(observed, n).write(Decoding("sample"))
        plain = many_of_first(observed, n).sample()
    assert (plain == UNKNOWN).any()
    expected = [probability(observed, text, Decoding("sample")) for text in TEXTS.tolist()]
    assert sum(expected) == pytest.approx(1)
    assert stats.chisquare(*counted(drawn, torch.tensor(expected))).pvalue > 1e-3
    assert stats.chisquare(*counted(plain, p)).pvalue > 1e-3


def many_of_first(observed: TextObserved, n: int) -> TextObserved:
    """The first row's distribution n times."""
    if isinstance(observed, TokenObserved):
        return TokenObserved(observed.logits[:1].expand(n, -1, -1), observed.never_empty)
    assert isinstance(observed, AutoregressiveObserved)
    context = observed.context[:1].expand(n, -1)
    return AutoregressiveObserved(context, observed.step, LENGTH, 0.0, observed.never_empty)


def counted(drawn: Tensor, p: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """How often each text came and should have come; rare ones together."""
    came = (drawn[:, None] == TEXTS).all(-1).sum(0).numpy()
    due = (p * len(drawn)).numpy()
    assert came[due == 0].sum() == 0
    often = due >= 5
    rare = due[~often].sum()
    came = np.append(came[often], came[~often].sum())
    due = np.append(due[often], rare)
    return (came, due) if rare > 0 else (came[:-1], due[:-1])


def test_a_text_of_which_the_end_is_all_may_end() -> None:
    observed = TokenObserved(torch.zeros(2, 3, END + 1), never_empty=True)
    assert (observed.mode[:, 0] == END).all()
    assert (observed.write(Decoding("sample"))[:, 0] == END).all()


@pytest.mark.parametrize("make", INSTANCES)
def test_the_unknown_token_is_not_written_where_there_is_another(make) -> None:
    observed = make()
    if isinstance(observed, TokenObserved):
        observed.logits[..., UNKNOWN] += 20
    else:
        observed.step = Shifted(observed.step)
    assert (observed.sample() == UNKNOWN).any()  # the model itself says it
    for how in ("greedy", "beam, width=1", "beam, width=3", "sample", "sample, top_k=2"):
        assert (observed.write(Decoding.of(how)) != UNKNOWN).all(), how
    assert torch.equal(observed.mode, observed.write(Decoding("greedy")))
    nothing_else = TokenObserved(torch.full((1, 2, VOCABULARY), -torch.inf))
    nothing_else.logits[..., UNKNOWN] = 0
    assert nothing_else.mode.tolist() == [[UNKNOWN, UNKNOWN]]


class Shifted(nn.Module):
    """A step network by which the next token is mostly unknown."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, context: Tensor, tokens: Tensor) -> Tensor:
        logits = self.step(context, tokens)
        return logits.index_add(-1, torch.tensor([UNKNOWN]), torch.full_like(logits[..., :1], 20))
