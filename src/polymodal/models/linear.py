r"""Probabilistic canonical correlation analysis: what modalities share, by lines alone.

.. math:: x_m = \mu_m + U_m y_m + \sigma_m \varepsilon_m, \qquad y_m = C_m z + N(0, \Psi_m),
          \qquad z \sim N(0, I)

Each modality keeps a full covariance of its own, so that z holds only what modalities have in
common. :math:`x_m` is the modality as a flat vector. :math:`U_m` spans all of it, or its leading
principal components where it has more than ``max_dims`` numbers. Given what a row has, down to
single cells, the posterior of z is Gaussian with a full covariance and exact; so is the likelihood
of modalities that are numbers. Other kinds are scored by their own likelihood at the predicted
line.

References:
    Francis Bach, Michael Jordan. A Probabilistic Interpretation of Canonical Correlation Analysis.
    2005. https://statistics.berkeley.edu/tech-reports/688
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal
from torch.nn.functional import pad

from polymodal.distributions.diagonal import Diagonal
from polymodal.distributions.observed import Observed
from polymodal.likelihoods.base import Likelihood, check_at_least
from polymodal.model import LatentModel, Modality, row_log_prob
from polymodal.models.canonical import Shared, canonical, expectation_maximisation, single
from polymodal.models.flat import flat_code
from polymodal.models.principal import Principal, principal_components
from polymodal.typing import Batch, Present, Terms, as_cells, rows_present

Method = Literal["likelihood", "correlation"]
_ROWS_AT_ONCE = 256
_LEAST_RIDGE = 1e-9


@dataclass(frozen=True)
class Message:
    """What a modality says of z: log p(x_m | z) = constant + weighted z - z precision z / 2.

    Arguments:
        precision: ``(B, D, D)``, zero where nothing is there.
        weighted: ``(B, D)``.
        constant: ``(B,)``.
    """

    precision: Tensor
    weighted: Tensor
    constant: Tensor


class View(nn.Module):
    """One modality: its code, its principal components and what z says of them.

    Arguments:
        name: Its name, for errors.
        likelihood: Its likelihood.
        latent_dim: D.
        max_dims: The most principal components.
    """

    def __init__(self, name: str, likelihood: Likelihood, latent_dim: int, max_dims: int) -> None:
        super().__init__()
        self.code = flat_code(name, likelihood)
        size, rank = self.code.size, min(self.code.size, max_dims)
        shapes = {
            "mean": (size,),
            "basis": (size, rank),
            "loading": (rank, latent_dim),
            "root": (rank, rank),
        }
        for key, shape in shapes.items():
            self.register_buffer(key, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("residual", torch.ones((), dtype=torch.float64))

    def set(self, components: Principal, loading: Tensor, noise: Tensor, offset: Tensor) -> None:
        """Take what was learned; ``noise`` is that of y and of the residual together."""
        values, vectors = torch.linalg.eigh(noise)
        residual = components.residual
        if self.get_buffer("basis").shape[0] == self.get_buffer("basis").shape[1]:
            residual = 0.5 * values[0]  # a part of the noise, which is whole without it
        more = (values - residual).clamp(min=0)
        for key, value in {
            "mean": components.mean + components.basis @ offset,
            "basis": components.basis,
            "loading": loading,
            "root": vectors * more.sqrt(),
            "residual": residual,
        }.items():
            self.get_buffer(key).copy_(value)

    def numbers(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The code and which of it is there, ``(B, P)`` each; zero where it is not."""
        here = as_cells(mask, x)
        clean = torch.where(here, x, torch.zeros((), dtype=x.dtype, device=x.device))
        cells = self.code.cells(mask)
        return torch.where(cells, self.code.encode(clean), 0), cells

    def line(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted numbers ``(..., P)`` and the standard deviation of their noise ``(P,)``."""
        basis = self.get_buffer("basis")
        loc = z.double() @ (basis @ self.get_buffer("loading")).T + self.get_buffer("mean")
        spread = (basis @ self.get_buffer("root")).square().sum(1) + self.get_buffer("residual")
        return loc.to(z.dtype), spread.sqrt().to(z.dtype)

    def message(self, x: Tensor, mask: Tensor) -> Message:
        """What the rows say of z."""
        value, cells = self.numbers(x, mask)
        gap = torch.where(cells, value - self.get_buffer("mean"), 0)
        n_rows, dim = len(gap), self.get_buffer("loading").shape[1]
        precision = gap.new_zeros(n_rows, dim, dim)
        weighted, constant = gap.new_zeros(n_rows, dim), gap.new_zeros(n_rows)
        whole = cells.all(1)
        if bool(whole.any()):
            rows = whole.nonzero()[:, 0]
            said = self._absorb(gap[rows], None)
            precision[rows], weighted[rows], constant[rows] = said
        for rows in (cells.any(1) & ~whole).nonzero()[:, 0].split(_ROWS_AT_ONCE):
            said = self._absorb(gap[rows], cells[rows])
            precision[rows], weighted[rows], constant[rows] = said
        return Message(precision, weighted, constant)

    def _absorb(self, gap: Tensor, cells: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Integrate y out of p(x | y) p(y | z), by Woodbury's identity; all cells when None."""
        basis, root = self.get_buffer("basis"), self.get_buffer("root")
        loading, residual = self.get_buffer("loading"), self.get_buffer("residual")
        if cells is None:
            gram, count = (basis.T @ basis / residual)[None], gap.new_tensor(float(gap.shape[1]))
        else:
            shown = cells.double()
            gram = torch.einsum("bp,pr,ps->brs", shown, basis, basis) / residual
            count = shown.sum(1)
        heard = gap @ basis / residual  # (b, r)
        rooted = gram @ root
        inner = torch.eye(len(root), dtype=root.dtype, device=root.device) + root.T @ rooted
        factor = torch.linalg.cholesky(inner)
        half = torch.linalg.solve_triangular(factor, rooted.mT, upper=False)  # (b, r, r)
        late = torch.linalg.solve_triangular(factor, (heard @ root).unsqueeze(-1), upper=False)
        late = late[..., 0]
        precision = loading.T @ (gram - half.mT @ half) @ loading
        weighted = heard - torch.einsum("brs,br->bs", half.expand(len(gap), -1, -1), late)
        quadratic = gap.square().sum(1) / residual - late.square().sum(1)
        norm = count * (2 * math.pi * residual).log()
        norm = norm + 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
        return precision, weighted @ loading, -0.5 * (quadratic + norm)


class CanonicalModel(LatentModel):
    """A linear model of what modalities share, solved once from all training rows.

    Arguments:
        modalities: Their likelihoods say what kind of values they have; networks are not used.
        latent_dim: Size D of the latent space.
        max_dims: Above so many numbers, a modality is read by as many principal components.
        ridge: What is added to the variances of each modality, as a share of their mean.
        method: ``"likelihood"``: the maximum of the likelihood, from all rows; ``"correlation"``:
            canonical variates, from rows that lack no modality.
        tolerance: EM stops where the log-likelihood of a row rises by less, in nats.
    """

    closed_form = True

    def __init__(
        self,
        modalities: Sequence[Modality],
        *,
        latent_dim: int,
        max_dims: int = 200,
        ridge: float = 0.1,
        method: Method = "likelihood",
        tolerance: float = 1e-4,
    ) -> None:
        super().__init__()
        check_at_least(latent_dim, 1, "latent_dim")
        check_at_least(max_dims, 1, "max_dims")
        if not ridge >= 0:
            raise ValueError(f"ridge must be at least 0, got {ridge}.")
        self.names = tuple(modality.name for modality in modalities)
        self.ridge, self.method, self.dim, self.tolerance = ridge, method, latent_dim, tolerance
        self.views = nn.ModuleList(
            View(modality.name, modality.likelihood, latent_dim, max_dims)
            for modality in modalities
        )
        self.correlations: Tensor
        self.prior_scale: Tensor
        self.register_buffer("correlations", torch.zeros(latent_dim, dtype=torch.float64))
        self.register_buffer("prior_scale", torch.ones(latent_dim, dtype=torch.float64))

    def view(self, name: str) -> View:
        """A modality's part."""
        return self.views[self.names.index(name)]  # pyright: ignore[reportReturnType]

    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of a modality; of a text, that of words independent given z."""
        return self.view(name).code.likelihood

    def prior(self) -> Distribution:
        """p(z)."""
        scale = self.prior_scale.float()
        return Diagonal(torch.zeros_like(scale), scale)

    def posterior(self, x: Batch, present: Present) -> MultivariateNormal:
        """p(z | what is there), exact where all modalities are numbers."""
        precision, weighted, _ = self._combined(x, present)
        factor = torch.linalg.cholesky(precision)
        loc = torch.cholesky_solve(weighted.unsqueeze(-1), factor)[..., 0]
        spread = torch.linalg.cholesky(torch.cholesky_inverse(factor))
        dtype = _dtype(x)
        return MultivariateNormal(loc.to(dtype), scale_tril=spread.to(dtype), validate_args=False)

    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | z) of each modality named, its cells taken as independent given z."""
        names = tuple(names)
        self.check_names(names)
        return {name: self.view(name).code.decode(*self.view(name).line(z)) for name in names}

    def log_likelihoods(
        self, z: Tensor, x: Batch, present: Present, names: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        """log p(x_m | z) in nats; of modalities that are numbers with their full covariance."""
        wanted = [name for name in (self.names if names is None else names) if name in present]
        found = {}
        for name in wanted:
            if self.view(name).code.is_itself:
                said = self.view(name).message(x[name], present[name])
                wide = z.double()
                square = (torch.einsum("...bd,bde->...be", wide, said.precision) * wide).sum(-1)
                log_p = said.constant + (wide * said.weighted).sum(-1) - 0.5 * square
                found[name] = log_p.to(z.dtype)
            else:
                p = self.decode(z, (name,))[name]
                found[name] = row_log_prob(p, x[name], present[name])
        return found

    def log_evidence(self, x: Batch, present: Present) -> Tensor:
        """log p of the flat vectors of what is there, exact, in nats, ``(B,)``, float64."""
        precision, weighted, constant = self._combined(x, present)
        factor = torch.linalg.cholesky(precision)
        late = torch.linalg.solve_triangular(factor, weighted.unsqueeze(-1), upper=False)
        norm = factor.diagonal(dim1=1, dim2=2).log().sum(1) + self.prior_scale.log().sum()
        return constant + 0.5 * late.square().sum((1, 2)) - norm

    def loss(self, x: Batch, present: Present, step: int = 0) -> Terms:
        """Minus the log-evidence of the flat vectors."""
        loss = -self.log_evidence(x, present)
        return Terms(loss, {"-log p(x)": loss.detach()})

    def _combined(self, x: Batch, present: Present) -> tuple[Tensor, Tensor, Tensor]:
        """Precision ``(B, D, D)``, weighted mean ``(B, D)`` and constant of p(z, x)."""
        some = next(iter(present.values()))
        prior = self.prior_scale.square().reciprocal().diag()
        precision = prior.expand(len(some), -1, -1)
        weighted, constant = prior.new_zeros(len(some), self.dim), prior.new_zeros(len(some))
        for name in self.names:
            if name in present:
                said = self.view(name).message(x[name], present[name])
                precision = precision + said.precision
                weighted = weighted + said.weighted
                constant = constant + said.constant
        return precision, weighted, constant

    @torch.no_grad()
    def start_from(self, x: Batch, present: Present) -> None:
        """Solve.

        Raises:
            ValueError: If canonical variates are wanted and every row lacks a modality.
        """
        on = torch.stack([rows_present(present[name]) for name in self.names])
        rows = torch.ones_like(on[0])
        if self.method == "correlation":
            rows = on.all(0)
            if not bool(rows.any()):
                raise ValueError(
                    f"canonical correlations need rows that lack no modality; none of {len(rows)} "
                    f"has all of {', '.join(self.names)}. Use recipe pcca, which takes rows as "
                    "they are."
                )
        components, scores, ridges = [], [], []
        for name, here in zip(self.names, on, strict=True):
            view, mask = self.view(name), present[name]
            view.code.start_from(x[name], rows_present(mask))
            value, cells = view.numbers(x[name], mask)
            found = principal_components(
                value[rows & here], cells[rows & here], view.get_buffer("basis").shape[1]
            )
            ridge = max(self.ridge, _LEAST_RIDGE) * found.variance
            components.append(replace(found, residual=found.residual + ridge))
            # Directions beyond the number of rows hold nothing but the ridge.
            rank = min(found.scores.shape[1], max(len(found.scores), 1))
            score = value.new_zeros(int(rows.sum()), rank)
            score[here[rows]] = found.scores[:, :rank]
            scores.append(score)
            ridges.append(ridge)
        shared = self._solve(scores, on[:, rows], ridges)
        self._take(components, shared, ridges)

    def _solve(self, scores: list[Tensor], on: Tensor, ridges: list[float]) -> Shared:
        sizes = [score.shape[1] for score in scores]
        every = torch.cat(scores, 1)
        covariance = every.T @ every / max(len(every), 1)
        ridge = torch.cat([every.new_full((p,), r) for p, r in zip(sizes, ridges, strict=True)])
        covariance = covariance + ridge.diag()
        if len(sizes) == 1:
            return single(covariance, self.dim)
        closed = self.method == "correlation" or (len(sizes) == 2 and bool(on.all()))
        start = canonical(covariance, sizes, self.dim, 0.0 if closed else 0.01)
        if closed:
            return start
        return expectation_maximisation(scores, on, ridges, start, tolerance=self.tolerance)

    def _take(self, components: list[Principal], shared: Shared, ridges: list[float]) -> None:
        self.correlations.copy_(shared.correlations)
        scale = torch.ones_like(self.prior_scale)
        if self.method == "correlation":
            # With z divided by the root of its reliability, E[z | x_m] is the canonical variate.
            common = shared.correlations
            scale = torch.where(common > 1e-6, common, 1.0).rsqrt()
        self.prior_scale.copy_(scale)
        for m, name in enumerate(self.names):
            beyond = components[m].basis.shape[1] - len(shared.offsets[m])
            only_ridge = torch.full((beyond,), ridges[m], dtype=torch.float64).diag()
            self.view(name).set(
                components[m],
                pad(shared.loadings[m] / scale, (0, 0, 0, beyond)),
                torch.block_diag(shared.noises[m], only_ridge.to(self.prior_scale)),
                pad(shared.offsets[m], (0, beyond)),
            )


def _dtype(x: Batch) -> torch.dtype:
    return next((v.dtype for v in x.values() if v.dtype == torch.float64), torch.float32)
