r"""A prior that is measured when training is over: ex-post density estimation.

.. math:: \hat p(z) = \sum_{c=1}^{C} \pi_c\, N(z \mid \mu_c, \Sigma_c), \qquad
          \hat p = \arg\max \mathbb E_{z \sim q(z)} \log \hat p(z), \qquad
          q(z) = \tfrac1N \sum_n q(z \mid x_n)

Training knows p(z) = N(0, I), whose divergence has a closed form. The decoders then learn what the
*aggregate posterior* q(z) shows them and nothing else, and q(z) is not N(0, I): new rows drawn
from there lie where no row ever was, and their modalities disagree. Of all priors the aggregate
posterior has the highest bound; a mixture of normals with full covariances comes near it. It
costs seconds and changes no weight, so that translations and embeddings stay as they were;
likelihoods, and imputations that weigh or refine their draws, know the new prior.

How many components, and whether they have covariances, is chosen by the density of draws that the
fit did not see. A mixture must beat N(0, I) there by two standard errors; else that stays.

Private blocks are drawn given the shared one, :math:`p(z, w) = \hat p(z) \prod_m p(w_m \mid z)`,
from what encoders said of rows that lie near (``exemplars.py``).

References:
    Partha Ghosh, Mehdi Sajjadi, Antonio Vergari, Michael Black, Bernhard Schoelkopf. From
    Variational to Deterministic Autoencoders. ICLR 2020. https://arxiv.org/abs/1903.12436,
    section 4. Jakub Tomczak, Max Welling. VAE with a VampPrior. AISTATS 2018.
    https://arxiv.org/abs/1705.07120, eq. 6 (the best prior).
"""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, MixtureSameFamily, MultivariateNormal

from polymodal.distributions.blocks import Blocks
from polymodal.distributions.dependent import DependentBlocks
from polymodal.distributions.diagonal import Diagonal
from polymodal.distributions.neighbours import Neighbours
from polymodal.priors.exemplars import Exemplars

MOST_DRAWS = 20_000
"""Draws that a fit looks at; more tell nothing new of so few components."""
_HELD_OUT = 0.2
_LEAST_DRAWS = 50
_RIDGE = 1e-4


class ExPostPrior(nn.Module):
    """N(0, I) in training; once measured, in evaluation, what the aggregate posterior looks like.

    Arguments:
        shared: The size L of the shared block.
        n_modalities: The number of private blocks M, 0 for none.
        private_dim: The size V of each.
        components: The largest number of components C; with none the shared block stays standard.
        exemplars: The largest number of rows that private blocks are drawn from; with none they
            stay standard.
    """

    def __init__(
        self,
        shared: int,
        n_modalities: int = 0,
        private_dim: int = 0,
        *,
        components: int = 20,
        exemplars: int = 500,
    ) -> None:
        super().__init__()
        sizes = {"n_modalities": n_modalities, "private_dim": private_dim}
        sizes |= {"components": components, "exemplars": exemplars}
        if shared < 1 or min(sizes.values()) < 0:
            raise ValueError(
                "ExPostPrior: shared must be at least 1 and all else at least 0, got "
                f"shared={shared}, {', '.join(f'{k}={v}' for k, v in sizes.items())}."
            )
        self.shared_dim = shared
        self.private_dim = n_modalities * private_dim
        self.exemplars = (
            Exemplars(shared, n_modalities, private_dim, exemplars)
            if exemplars and self.private_dim
            else None
        )
        self.measured: Tensor
        self.weights: Tensor
        self.loc: Tensor
        self.tril: Tensor
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))
        self.register_buffer("weights", torch.zeros(components))
        self.register_buffer("loc", torch.zeros(components, shared))
        self.register_buffer("tril", torch.eye(shared).repeat(components, 1, 1))

    def forward(self) -> Distribution:
        """p(z, w), event shape ``(L + M V,)``."""
        private = self.private()
        if self.training or not (bool(self.measured) or private):
            return self._standard(self.shared_dim + self.private_dim)
        shared = self._mixture() if bool(self.measured) else self._standard(self.shared_dim)
        if private:
            return DependentBlocks(shared, private)
        return Blocks(shared, self._standard(self.private_dim)) if self.private_dim else shared

    def private(self) -> Neighbours | None:
        """p(w | z) once it is measured, in evaluation; None where it is N(0, I)."""
        if self.training or self.exemplars is None or not bool(self.exemplars.count.any()):
            return None
        return self.exemplars()

    def forget(self) -> None:
        """Training begins: what was measured is true no longer."""
        self.measured.fill_(False)
        if self.exemplars is not None:
            self.exemplars.forget()

    def _standard(self, size: int) -> Diagonal:
        zeros = self.loc.new_zeros(size)
        return Diagonal(zeros, torch.ones_like(zeros), is_standard=True)

    def _mixture(self) -> Distribution:
        used = self.weights > 0
        return MixtureSameFamily(
            Categorical(probs=self.weights[used], validate_args=False),
            MultivariateNormal(self.loc[used], scale_tril=self.tril[used], validate_args=False),
            validate_args=False,
        )

    @torch.no_grad()
    def measure(self, z: Tensor, seed: int = 0) -> None:
        """Fit the mixture to draws of the shared block.

        Arguments:
            z: Draws from the posteriors of training rows, ``(N, L)``. With fewer than 50 the
                prior stays standard.
            seed: Which of them are held out, and where the fit begins, follow from it.
        """
        if z.ndim != 2 or z.shape[1] != self.shared_dim:
            raise ValueError(f"measure: z must be (N, {self.shared_dim}), got {tuple(z.shape)}.")
        draws = z[torch.isfinite(z).all(1)].double().cpu().numpy()
        draws = np.random.default_rng(seed).permutation(draws)[:MOST_DRAWS]
        self.measured.fill_(False)
        if len(draws) < _LEAST_DRAWS or not len(self.weights):
            return
        found = _best_mixture(draws, len(self.weights), seed)
        if found is None:
            return
        weights, loc, covariance = map(torch.from_numpy, found)
        n = len(weights)
        self.weights.zero_()[:n].copy_(weights / weights.sum())
        self.loc[:n].copy_(loc)
        self.tril[:n].copy_(torch.linalg.cholesky(covariance))
        self.measured.fill_(True)


def _best_mixture(
    draws: np.ndarray, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Weights, means and covariances; None where nothing is better than N(0, I)."""
    held_out = int(len(draws) * _HELD_OUT)
    test, train = draws[:held_out], draws[held_out:]
    dim = draws.shape[1]
    standard = -0.5 * (test**2).sum(1) - 0.5 * dim * np.log(2 * np.pi)
    best, choice = -np.inf, None
    for kind in ("diag", "full"):
        for components in sorted({1, max(1, most // 4), most}):
            if components * 2 > len(train):
                continue
            fitted = _mixture(train, components, kind, seed)
            if fitted is None:
                continue
            gain = fitted.score_samples(test) - standard
            surely = gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain))
            if surely and gain.mean() > best:
                best, choice = gain.mean(), (components, kind)
    if choice is None:
        return None
    fitted = _mixture(draws, *choice, seed)
    if fitted is None:
        return None
    weights, loc, covariance = (
        np.asarray(one) for one in (fitted.weights_, fitted.means_, fitted.covariances_)
    )
    if choice[1] == "diag":
        covariance = np.stack([np.diag(row) for row in covariance])
    return weights, loc, covariance


def _mixture(draws: np.ndarray, components: int, kind: str, seed: int):  # noqa: ANN202
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        # It raises where a covariance degenerates: such draws have no such mixture.
        # After so many rounds what is still gained is less than what the draws tell.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(
            components,
            covariance_type=kind,  # pyright: ignore[reportArgumentType]
            reg_covar=_RIDGE,
            max_iter=50,
            init_params="k-means++",
            random_state=seed,
        ).fit(draws)
    return None
