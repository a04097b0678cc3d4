"""Answers against the exact ones of linear-Gaussian models."""

from __future__ import annotations

import pytest
import torch
from tests.tasks.exact import correlated, rows_of, wrong_model

from polymodal.data.tensors import Tensors
from polymodal.fusion import MixtureOfExperts, MixtureOfProducts, ProductOfExperts
from polymodal.model import presence
from polymodal.objectives import ELBO
from polymodal.tasks import answer as answering
from polymodal.tasks import embed, generate, impute, log_likelihood, reconstruct, translate
from polymodal.tasks.latent_draws import posterior_draws
from polymodal.testing.linear import LinearGaussian

SIZES = {"a": 3, "b": 4, "c": 2}


def test_log_likelihood_of_the_exact_posterior_is_the_evidence_with_one_sample() -> None:
    linear = LinearGaussian(SIZES, 2)
    model = linear.build(ProductOfExperts("always"), ELBO())
    rows = rows_of(linear, 20, cells=False)
    got = log_likelihood(model, rows, samples=1).log_p
    torch.testing.assert_close(got, linear.log_evidence(rows.x, rows.present), rtol=0, atol=1e-9)
    assert got[0] == 0  # a row with nothing has the evidence 1


@pytest.mark.parametrize(
    ("fusion", "expert"),
    [
        (ProductOfExperts("always"), "factor"),
        (ProductOfExperts("never"), "posterior"),
        (MixtureOfExperts(), "posterior"),
        (MixtureOfProducts("always"), "factor"),
        (MixtureOfProducts("never"), "posterior"),
    ],
)
def test_log_likelihood_converges_to_the_evidence(fusion, expert) -> None:
    linear = LinearGaussian(SIZES, 2)
    model = linear.build(fusion, ELBO(), expert=expert, inflate=1.3)
    rows = rows_of(linear, 12, cells=False)
    exact = linear.log_evidence(rows.x, rows.present)
    few, many = (log_likelihood(model, rows, samples=k, seed=3).log_p for k in (7, 8000))
    torch.testing.assert_close(many, exact, rtol=0, atol=0.08)
    assert (many - exact).abs().mean() < (few - exact).abs().mean()


def test_log_likelihood_with_missing_cells_and_a_wrong_posterior() -> None:
    linear = correlated()
    rows = rows_of(linear, 12)
    got = log_likelihood(wrong_model(linear), rows, samples=8000).log_p
    torch.testing.assert_close(got, linear.log_evidence(rows.x, rows.present), rtol=0, atol=0.06)


def test_log_likelihood_is_unbiased_for_the_evidence_with_few_samples() -> None:
    """In the mean over many repetitions p, not log p, is right: with 3 samples a stratum too."""
    linear = LinearGaussian(SIZES, 2)
    model = linear.build(MixtureOfExperts(), ELBO(), expert="posterior", inflate=1.5)
    rows = rows_of(linear, 4, cells=False)
    many = rows.rows(torch.arange(4).repeat_interleave(4000))
    gap = log_likelihood(model, many, samples=9).log_p - linear.log_evidence(many.x, many.present)
    ratio = gap.exp().reshape(4, 4000)
    error = ratio.std(1) / 4000**0.5
    assert ((ratio.mean(1) - 1).abs() <= 4 * error + 1e-9).all()


def test_resampled_draws_have_the_exact_moments_though_the_proposal_is_wrong() -> None:
    linear = correlated()
    rows = rows_of(linear, 5, copies=40)
    model = wrong_model(linear)
    with torch.no_grad():
        z, ess = posterior_draws(model, rows.x, rows.present, 200, 3000)
    z = z.transpose(0, 1).reshape(5, -1, 2)
    exact = linear.posterior(*rows.rows(slice(None, None, 40)).gather(torch.arange(5)))
    sd = exact.variance.sqrt()
    assert ((z.mean(1) - exact.mean).abs() < 0.06 * sd).all()
    for row in range(5):
        scaled = torch.cov(z[row].T) / torch.outer(sd[row], sd[row])
        wanted = exact.covariance_matrix[row] / torch.outer(sd[row], sd[row])
        torch.testing.assert_close(scaled, wanted, rtol=0, atol=0.1)
    assert (ess > 1 / 3000).all()
    assert (ess < 0.9).all()  # and it tells that the proposal is wrong


def test_a_right_proposal_has_full_effective_size() -> None:
    linear = LinearGaussian(SIZES, 2)
    model = linear.build(ProductOfExperts("always"), ELBO())
    rows = rows_of(linear, 6, cells=False)
    with torch.no_grad():
        _, ess = posterior_draws(model, rows.x, rows.present, 10, 50)
    torch.testing.assert_close(ess, torch.ones(6, dtype=torch.float64))


def joint(linear: LinearGaussian, rows: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of all cells of all modalities of each row given what it has."""
    q = linear.posterior(rows.x, rows.present)
    every = linear.modalities.values()
    weight = torch.cat([m.weight for m in every])
    noise = torch.cat([torch.full((len(m.offset),), m.noise**2) for m in every])
    offset = torch.cat([m.offset for m in every])
    cov = weight @ q.covariance_matrix @ weight.T + torch.diag(noise.double())
    return q.mean @ weight.T + offset, cov


def test_imputations_have_the_exact_predictive_mean_and_covariance() -> None:
    """Across modalities and cells of a row too: a draw shares its z."""
    linear, copies = correlated(), 60
    rows = rows_of(linear, 4, copies=copies)
    said = impute(wrong_model(linear), rows, draws=150, proposals=2000, seed=5)
    mean, cov = joint(linear, rows.rows(slice(None, None, copies)))
    names = linear.names
    missing = torch.cat([said.missing[n] for n in names], 1)[::copies]
    draws = torch.cat([said.draws[n] for n in names], -1)
    draws = draws.reshape(150, 4, copies, -1).transpose(0, 1).reshape(4, 150 * copies, -1)
    point = torch.cat([said.point[n] for n in names], -1).reshape(4, copies, -1).mean(1)
    strongest = 0.0
    for row in range(4):
        m = missing[row]
        sd = cov[row].diagonal()[m].sqrt()
        exact = cov[row][m][:, m] / torch.outer(sd, sd)
        assert ((draws[row][:, m].mean(0) - mean[row][m]).abs() < 0.06 * sd).all()
        assert ((point[row][m] - mean[row][m]).abs() < 0.06 * sd).all()
        got = torch.atleast_2d(torch.cov(draws[row][:, m].T)) / torch.outer(sd, sd)
        torch.testing.assert_close(got, exact, rtol=0, atol=0.08)
        strongest = max(strongest, float((exact - torch.eye(len(sd))).abs().max()))
    assert strongest > 0.3  # else the test would not see draws that do not share their z


@pytest.mark.parametrize("draws", [20, 200])
def test_the_usual_number_of_proposals_corrects_a_wrong_posterior(draws: int) -> None:
    """However many draws are asked for: if there were no more proposals they could not."""
    linear, copies = correlated(), 4000 // draws
    rows = rows_of(linear, 4, copies=copies)
    mean, cov = joint(linear, rows.rows(slice(None, None, copies)))
    sd = cov.diagonal(dim1=1, dim2=2).sqrt()
    gaps = []
    for shift in (0.8, -0.8):
        said = impute(wrong_model(linear, shift, 1.4), rows, draws=draws, seed=5)
        missing = torch.cat([said.missing[n] for n in linear.names], 1)[::copies]
        drawn = torch.cat([said.draws[n] for n in linear.names], -1)
        drawn = drawn.reshape(draws, 4, copies, -1).mean((0, 2))
        gaps.append(((drawn - mean) / sd)[missing])
        point = torch.cat([said.point[n] for n in linear.names], -1)
        gaps.append(((point.reshape(4, copies, -1).mean(1) - mean) / sd)[missing])
    assert torch.cat(gaps).abs().max() < 0.12


def test_intervals_of_draws_cover_what_they_should() -> None:
    """The least and the greatest of 19 draws hold a new value with probability 18 / 20."""
    linear = correlated()
    rows = rows_of(linear, 1500)
    said = impute(wrong_model(linear, 0.2, 1.3), rows, draws=19, proposals=300, seed=1)
    inside = []
    for name, draws in said.draws.items():
        held = (draws.amin(0) <= rows.x[name]) & (rows.x[name] <= draws.amax(0))
        inside.append(held[said.missing[name]])
    every = torch.cat(inside).double()
    assert len(every) > 5000
    assert abs(float(every.mean()) - 0.9) < 0.02


def test_translation_is_the_exact_conditional_and_reads_only_what_is_given() -> None:
    linear = LinearGaussian(SIZES, 2)
    rows = rows_of(linear, 3, copies=40, cells=False)
    model = linear.build(ProductOfExperts("always"), ELBO())
    draws = translate(model, rows, ["c"], ["a"], draws=200)["c"]
    alone = rows.select(["a"])
    exact = linear.conditional("c", alone.x, alone.present)
    got = draws.reshape(200, 3, 40, 2).transpose(0, 1).reshape(3, -1, 2)
    sd = exact.variance[::40].sqrt()
    assert ((got.mean(1) - exact.mean[::40]).abs() < 0.06 * sd).all()
    assert ((got.std(1) / sd - 1).abs() < 0.05).all()
    point = translate(model, rows, ["c"], ["a"])["c"]
    assert point.shape == (1, 120, 2)
    assert ((point[0].reshape(3, 40, 2).mean(1) - exact.mean[::40]).abs() < 0.06 * sd).all()
    others = Tensors({n: v if n == "a" else v + 9 for n, v in rows.x.items()}, dict(rows.present))
    assert torch.equal(point, translate(model, others, ["c"], ["a"])["c"])


def test_without_proposals_draws_are_those_of_the_models_own_posterior() -> None:
    """As translation wants them: right or wrong, the amortised posterior as it is.

    A row that shows nothing has the prior.
    """
    linear = correlated()
    model, rows = wrong_model(linear, 1.0, 1.5), rows_of(linear, 3, copies=40, cells=False)
    q = model.posterior(rows.x, rows.present)
    m = linear.modalities["c"]
    nothing = ~presence(model, rows.present).any(0).unsqueeze(1)
    assert bool(nothing.any())
    z_mean, z_variance = torch.where(nothing, 0.0, q.mean), torch.where(nothing, 1.0, q.variance)
    mean = (z_mean @ m.weight.T + m.offset)[::40]
    cov = m.weight @ torch.diag_embed(z_variance[::40]) @ m.weight.T
    sd = (cov.diagonal(dim1=1, dim2=2) + m.noise**2).sqrt()
    said = impute(model, rows, draws=200, proposals=0, names=["c"], keep=False)
    got = said.draws["c"].reshape(200, 3, 40, 2).transpose(0, 1).reshape(3, -1, 2)
    assert ((got.mean(1) - mean).abs() < 0.06 * sd).all()
    assert ((got.std(1) / sd - 1).abs() < 0.05).all()


def test_reconstruction_is_the_mean_given_everything() -> None:
    linear = LinearGaussian(SIZES, 2)
    model = linear.build(ProductOfExperts("always"), ELBO())
    rows = rows_of(linear, 5, copies=100, cells=False)
    made = reconstruct(model, rows)
    for name in linear.names:
        exact = linear.conditional(name, rows.x, rows.present)
        got = made[name].reshape(5, 100, -1).mean(1)
        assert ((got - exact.mean[::100]).abs() < 0.06 * exact.variance[::100].sqrt()).all()


def test_embedding_is_the_mean_of_the_posterior() -> None:
    linear = LinearGaussian(SIZES, 2)
    rows = rows_of(linear, 30, cells=False)
    exact = linear.posterior(rows.x, rows.present).mean
    product = linear.build(ProductOfExperts("always"), ELBO())
    torch.testing.assert_close(embed(product, rows), exact)
    mixture = linear.build(MixtureOfExperts(), ELBO(), expert="posterior")
    each = torch.stack(
        [linear.posterior({n: rows.x[n]}, {n: rows.present[n]}).mean for n in linear.names]
    )
    on = torch.stack([rows.present[n] for n in linear.names]).double()
    wanted = (on[..., None] * each).sum(0) / on.sum(0).clamp(min=1)[:, None]
    torch.testing.assert_close(embed(mixture, rows), wanted)


def test_generated_rows_have_the_exact_marginal() -> None:
    linear = correlated()
    model = wrong_model(linear)
    made = generate(model, 20_000, seed=2, values="sample")
    got = torch.cat([made[n] for n in linear.names], 1)
    nothing = {n: torch.zeros(1, dtype=torch.bool) for n in linear.names}
    mean, cov = joint(linear, Tensors({n: torch.zeros(1, SIZES[n]) for n in SIZES}, nothing))
    sd = cov[0].diagonal().sqrt()
    assert ((got.mean(0) - mean[0]).abs() < 0.04 * sd).all()
    scaled = torch.cov(got.T) / torch.outer(sd, sd)
    torch.testing.assert_close(scaled, cov[0] / torch.outer(sd, sd), rtol=0, atol=0.04)
    noiseless = generate(model, 5, seed=2, values="mean")["a"]
    m = linear.modalities["a"]
    assert torch.linalg.matrix_rank(noiseless - m.offset, atol=1e-8) == 2


def test_the_size_of_pieces_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = correlated()
    rows, model = rows_of(linear, 60), wrong_model(linear)

    def answers() -> tuple[torch.Tensor, ...]:
        said = impute(model, rows, draws=4, proposals=1000)
        return (
            torch.cat(list(said.point.values()), 1),
            said.ess,
            log_likelihood(model, rows, samples=2000).log_p,
            embed(model, rows),
        )

    whole = answers()
    monkeypatch.setattr(answering, "_DECODED_ROWS", 7000)  # pieces of 7, 3 and 1750 rows
    pieces = answers()
    assert torch.equal(whole[3], pieces[3])
    torch.testing.assert_close(whole[2], pieces[2], rtol=0, atol=0.2)
    torch.testing.assert_close(whole[1], pieces[1], rtol=0, atol=0.15)
    assert (whole[0] - pieces[0]).abs().mean() < 0.15
