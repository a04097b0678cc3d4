"""Settings under which the laws are tried, and another value for each setting."""

SETTINGS: list[dict] = [{}, {"private_dim": 2, "draw": "subset", "components": 3}]
OTHER: dict = {
    "latent_dim": 5,
    "private_dim": 3,
    "beta": 0.25,
    "draw": "subset",
    "components": 0,
}
