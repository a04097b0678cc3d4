"""log p(x) of MultiVae's models by one estimator, for ``peer_fidelity.py``.

Equally many draws of every component, divided by the whole mixture: its own ``compute_joint_nll``
draws one component and divides by all of them, which is biased, and in DMVAE adds up over rows.
MHVAE has none.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from peer_multivae import MultimodalBaseDataset, peers
from peer_networks import PRIVATE, SCALE
from torch.distributions import Laplace, Normal

STANDARD = ("MVTCAE", "MoPoE", "MVAE", "JMVAE", "TELBO", "CRMVAE", "DMVAE", "Nexus")
"""Models with a standard normal prior of what all modalities share."""


def components(model, name: str, part) -> tuple[torch.Tensor, torch.Tensor, type]:
    """Locations and scales of the posterior's components, ``(S, B, D)``, and their family."""
    if name in STANDARD:
        loc, log_variance = gaussian(model, name, part)
        if name != "MoPoE":
            loc, log_variance = loc[None], log_variance[None]
        return loc, (0.5 * log_variance).exp(), Normal
    to_scale = model.log_var_to_std if name == "MMVAE" else model._log_var_to_std
    outs = [model.encoders[m](part.data[m]) for m in part.data]
    loc = torch.stack([o.embedding for o in outs])
    scale = torch.stack([to_scale(o.log_covariance) for o in outs])
    return loc, scale, Laplace


def gaussian(model, name: str, part) -> tuple[torch.Tensor, torch.Tensor]:
    """Location and log variance of the joint posterior; of MoPoE, of all its components."""
    if name == "MVTCAE":
        return model._inference(part)["joint"]
    if name == "MoPoE":
        found = model.inference(part)
        return found["mus"], found["logvars"]
    if name == "MVAE":
        return model.compute_mu_log_var_subset(part, list(part.data))
    if name == "DMVAE":
        return model._infer_latent_parameters(part)[:2]
    if name in ("JMVAE", "TELBO"):
        out = model.joint_encoder(part.data)
    elif name == "CRMVAE":
        out = model._infer_all_latent_parameters(part)["joint"]
    else:
        # As in the library, the lower vectors stand at their means and at what the nexus says.
        sent = [
            model.top_encoders[m](model.encoders[m](x).embedding) for m, x in part.data.items()
        ]
        out = model.joint_encoder(torch.stack([one.embedding for one in sent]).mean(0))
    return out.embedding, out.log_covariance


def log_prior(model, name: str, z: torch.Tensor) -> torch.Tensor:
    if name in STANDARD:
        return Normal(0.0, 1.0).log_prob(z).sum(-1)
    if name == "MMVAE":
        return Laplace(*model.pz_params).log_prob(z).sum(-1)
    if name == "MMVAEPlus":
        loc, scale = model.pz_params
        d = z.shape[-1]
        return Laplace(loc[:, :d], scale[:, :d]).log_prob(z).sum(-1)
    loc = torch.cat([*model.mean_clusters]).reshape(-1, z.shape[-1])
    raw = torch.cat([*model.logvar_clusters]).reshape(-1, z.shape[-1])
    each = Laplace(loc, model._log_var_to_std(raw))
    weights = model._pc_params.reshape(-1).log_softmax(-1)
    return torch.logsumexp(weights + each.log_prob(z.unsqueeze(-2)).sum(-1), -1)


def proposal(model, name: str, part, samples: int) -> tuple[torch.Tensor, torch.Tensor, type]:
    """Draws ``(K, B, D)``, the log of prior over posterior, and the posterior's family."""
    if name == "MHVAE":
        return *through_levels(model, part, samples), Normal
    loc, scale, family = components(model, name, part)
    z = family(loc, scale).sample((math.ceil(samples / len(loc)),)).flatten(0, 1)
    density = torch.stack(
        [family(a, b).log_prob(z).sum(-1) for a, b in zip(loc, scale, strict=True)]
    )
    return z, log_prior(model, name, z) - density.logsumexp(0) + math.log(len(loc)), family


def through_levels(model, part, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws of the lowest level, and log p - log q summed over the levels that lead to it."""
    deepest, skips = model.modality_encode(part.data)
    said = list(deepest.values())
    zero = torch.zeros_like(said[0].embedding)
    loc, log_variance = product([(o.embedding, o.log_covariance) for o in said], (zero, zero))
    q = Normal(loc, (0.5 * log_variance).exp())
    z = q.sample((samples,))
    log_w = (Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)).sum(-1)
    z = z.flatten(0, 1)
    for i in range(model.n_latent - 2, -1, -1):
        h = model.top_down_blocks[i](z)
        p = model.prior_blocks[i](h)
        experts = []
        for m, skip in skips.items():
            heard = torch.cat([h, skip[i].repeat(samples, 1)], 1)
            out = model._get_posterior_block(m, i)(heard)
            experts.append((out.embedding, out.log_covariance))
        loc, log_variance = product(experts, (p.embedding, p.log_covariance))
        q = Normal(loc, (0.5 * log_variance).exp())
        prior = Normal(p.embedding, (0.5 * p.log_covariance).exp())
        z = q.sample()
        log_w = log_w + (prior.log_prob(z) - q.log_prob(z)).sum(-1).view_as(log_w)
    return z.view(samples, -1, z.shape[-1]), log_w


def product(experts: list[tuple], prior: tuple) -> tuple[torch.Tensor, torch.Tensor]:
    """Location and log variance of the normalised product of experts and prior."""
    locs, log_variances = zip(*experts, prior, strict=True)
    return peers.base.base_utils.poe(torch.stack(locs), torch.stack(log_variances))


@torch.no_grad()
def log_likelihood(model, name: str, x: dict, samples: int, batch: int = 20) -> np.ndarray:
    """log p(x) of each row in nats by stratified importance sampling."""
    found = []
    for start in range(0, len(next(iter(x.values()))), batch):
        rows = {m: v[start : start + batch] for m, v in x.items()}
        z, log_w, family = proposal(model, name, MultimodalBaseDataset(rows), samples)
        for m, value in rows.items():
            read = z
            if name in PRIVATE:
                out = model.encoders[m](value)
                own = family(out.style_embedding, to_scale(model, name, out.style_log_covariance))
                w = own.sample((len(z),))
                log_w = log_w + private_prior(model, name, family, w) - own.log_prob(w).sum(-1)
                read = torch.cat([z, w], -1)
            read = read.flatten(0, 1)
            if name == "Nexus":
                read = model.top_decoders[m](read).reconstruction
            mean = model.decoders[m](read).reconstruction
            mean = mean.reshape(*z.shape[:2], *value.shape[1:])
            log_p = Laplace(mean, SCALE).log_prob(value)
            log_w = log_w + log_p.flatten(2).sum(-1)
        found.append(log_w.logsumexp(0) - math.log(len(log_w)))
    return torch.cat(found).double().numpy()


def to_scale(model, name: str, log_variance: torch.Tensor) -> torch.Tensor:
    """The scale of a private posterior or prior."""
    if name == "DMVAE":
        return (0.5 * log_variance).exp()
    return model._log_var_to_std(log_variance)


def private_prior(model, name: str, family: type, w: torch.Tensor) -> torch.Tensor:
    if name == "DMVAE":
        loc, scale = torch.zeros(1), torch.ones(1)
    elif name == "MMVAEPlus":
        loc, scale = model.pz_params
        loc, scale = loc[:, -w.shape[-1] :], scale[:, -w.shape[-1] :]
    else:
        loc, scale = model.w_mean_prior, model._log_var_to_std(model.w_logvar_prior)
    return family(loc, scale).log_prob(w).sum(-1)
