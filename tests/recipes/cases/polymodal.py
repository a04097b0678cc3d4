"""Settings under which the laws are tried, and another value for each setting."""

SETTINGS: list[dict] = [
    {},
    {"private_dim": 2, "components": 3},
    {"private_dim": 0, "agreement": 0.0},
]
OTHER: dict = {
    "latent_dim": 5,
    "private_dim": 3,
    "beta": 0.25,
    "agreement": 0.0,
    "components": 0,
    "exemplars": 7,
}
