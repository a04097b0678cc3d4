"""The joint posterior answers several modalities, a unimodal one a modality alone."""

from __future__ import annotations

from dataclasses import replace

import torch
from tests.helpers import real_batch, real_modalities

from polymodal.networks.side_by_side import Answers
from polymodal.random import seeded
from polymodal.recipes import RECIPES

X, PRESENT = real_batch()


def test_who_answers() -> None:
    with seeded(0):
        model = RECIPES["jmvae"].build(real_modalities(), latent_dim=4)
    posterior = model.posterior
    encoded, q = posterior.encode(X, PRESENT), posterior(X, PRESENT)
    joint = posterior.joint(encoded, encoded.on)
    count = encoded.on.sum(0)
    assert {int(c) for c in count} >= {0, 1, 4}
    for row in range(6):
        if count[row] == 0:
            assert torch.equal(q.loc[0, row], torch.zeros(4))
            assert torch.equal(q.scale[0, row], torch.ones(4))
        elif count[row] == 1:
            (m,) = encoded.on[:, row].nonzero()[0]
            torch.testing.assert_close(q.loc[0, row], encoded.experts.loc[m, row])
            torch.testing.assert_close(q.scale[0, row], encoded.experts.scale[m, row])
        else:
            assert torch.equal(q.loc[0, row], joint.loc[0, row])


def test_the_network_is_told_what_is_present() -> None:
    with seeded(0):
        model = RECIPES["jmvae"].build(real_modalities(), latent_dim=4)
    encoded = model.posterior.encode(X, PRESENT)
    silent = Answers([torch.zeros_like(feature) for feature in encoded.features])
    encoded = replace(encoded, answers=silent)
    on = torch.ones(4, 6, dtype=torch.bool)
    less = on.clone()
    less[2] = False  # its features are zero either way
    one, other = model.posterior.joint(encoded, on), model.posterior.joint(encoded, less)
    assert not torch.equal(one.loc, other.loc)


def test_zero_feeds_zeros_for_whatever_is_absent() -> None:
    """The joint network read naively: zeros and a false word for each absent modality."""
    with seeded(0):
        model = RECIPES["jmvae"].build(real_modalities(), latent_dim=4, unimodal="zero")
    posterior = model.posterior
    encoded, q = posterior.encode(X, PRESENT), posterior(X, PRESENT)
    for row in range(6):
        on = encoded.on[:, row]
        if not on.any():
            assert torch.equal(q.loc[0, row], torch.zeros(4))
            assert torch.equal(q.scale[0, row], torch.ones(4))
            continue
        read = [f[row] * float(here) for f, here in zip(encoded.features, on, strict=True)]
        expected = posterior.joint_head(posterior.body(torch.cat([*read, on.float()])[None]))
        torch.testing.assert_close(q.loc[0, row], expected.loc[0])
        torch.testing.assert_close(q.scale[0, row], expected.scale[0])
    # The objective is the plain ELBO: nothing aligns.
    assert "alignment" not in model.loss(X, PRESENT, 0).parts
