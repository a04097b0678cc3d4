"""Settings under which the laws are tried, and another value for each setting."""

SETTINGS: list[dict] = [{}, {"samples": 2, "estimator": "covariance", "sweeps": 2, "chains": 3}]
OTHER: dict = {
    "latent_dim": 5,
    "beta": 0.25,
    "samples": 3,
    "field_sweeps": 2,
    "sweeps": 2,
    "prior_sweeps": 2,
    "answer_sweeps": 2,
    "chains": 3,
    "estimator": "covariance",
}
