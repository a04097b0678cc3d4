"""Settings under which the laws are tried, and another value for each setting."""

SETTINGS: list[dict] = [
    {},
    {"clusters": 3, "private_dim": 2, "samples": 3, "family": "laplace", "learn_scales": True},
    {"clusters": 1, "private_dim": 0, "estimator": "iwae"},
    {"clusters": 3, "private_dim": 2, "diffusion": True},
]
OTHER: dict = {
    "latent_dim": 5,
    "private_dim": 3,
    "clusters": 3,
    "learn_scales": True,
    "learn_weights": False,
    "samples": 3,
    "beta": 0.5,
    "estimator": "iwae",
    "family": "laplace",
    "prune": False,
    "diffusion": True,
}
