"""Scikit-learn's habits, and parameters that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from tests.estimator.cases import frame, tiny

import polymodal as pm
from polymodal import MultimodalModel, NetworkSettings
from polymodal.model_file import pack_parameters, unpack_parameters

SMALL = frame(12)[["w", "c", "f32"]]


def test_a_clone_has_the_parameters_and_no_fit() -> None:
    settings = {"beta": 0.5}
    model = MultimodalModel(**tiny(settings=settings, recipe="mvae")).fit(SMALL)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "model_")
    assert copy.networks == model.networks
    assert model.settings is settings
    assert settings == {"beta": 0.5}


def test_parameters_can_be_read_set_and_shown() -> None:
    model = MultimodalModel()
    assert repr(model) == "MultimodalModel()"
    assert model.set_params(recipe="mvae", latent_dim=5) is model
    assert model.get_params()["latent_dim"] == 5
    assert MultimodalModel(**model.get_params()).get_params() == model.get_params()
    assert repr(model) == "MultimodalModel(recipe='mvae', latent_dim=5)"
    with pytest.raises(ValueError, match="no parameter 'epoch'"):
        model.set_params(epoch=3)
    with pytest.raises(TypeError, match="epoch"):
        MultimodalModel(epoch=3)


def test_fit_returns_the_model_and_leaves_its_parameters() -> None:
    model = MultimodalModel(**tiny())
    before = model.get_params()
    assert model.fit(SMALL) is model
    assert model.get_params() == before
    check_is_fitted(model)


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: m.impute(SMALL),
        lambda m: m.reconstruct(SMALL),
        lambda m: m.translate(SMALL, "table"),
        lambda m: m.generate(2),
        lambda m: m.embed(SMALL),
        lambda m: m.score(SMALL),
        lambda m: m.evaluate(SMALL),
        lambda m: m.save("nowhere.pm"),
        check_is_fitted,
    ],
)
def test_nothing_is_answered_before_fit(ask) -> None:
    with pytest.raises(NotFittedError):
        ask(MultimodalModel())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"recipe": "mopo"}, "Did you mean 'mopoe'"),
        ({"settings": {"bta": 1.0}}, "has no setting 'bta'. Did you mean 'beta'"),
        ({"settings": {"latent_dim": 3}}, "give latent_dim as a parameter"),
        ({"recipe": "mmvae", "private_dim": 2}, "no private latents, got private_dim=2"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"latent_dim": 0}, "latent_dim must be"),
        ({"latent_dim": "3"}, "latent_dim must be"),
        ({"latent_dim": 2.0}, "latent_dim must be"),
        ({"latent_dim": True}, "latent_dim must be"),
        ({"private_dim": -1}, "private_dim must be"),
        ({"private_dim": False}, "private_dim must be"),
        ({"private_dim": 2.0}, "private_dim must be"),
        ({"recipe": "mfm", "private_dim": 0}, "private_dim and hidden must be at least 1"),
        ({"seed": -1}, "seed must be"),
        ({"seed": None}, "seed must be"),
        ({"validation_share": 1.0}, "validation_share must be"),
        ({"validation_share": "a"}, "validation_share must be"),
        ({"precision": "16"}, "precision must be"),
        ({"device": "gpu"}, "device must be"),
        ({"learning_rate": -1.0}, "learning_rate must be"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"patience": 0}, "patience must be"),
        ({"max_seconds": -1}, "max_seconds must be"),
        ({"checkpoint_minutes": 0}, "checkpoint_minutes must be"),
    ],
)
def test_a_wrong_parameter_is_one_clear_error(wrong, said) -> None:
    with pytest.raises(ValueError, match=said):
        MultimodalModel(**tiny(**wrong)).fit(SMALL)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"networks": {"hidden": (4,)}}, "NetworkSettings"),
        ({"settings": ["beta"]}, "dictionary"),
        ({"progress": "yes"}, "progress must be True or False"),
    ],
)
def test_a_parameter_of_a_wrong_type_is_one_clear_error(wrong, said) -> None:
    with pytest.raises(TypeError, match=said):
        MultimodalModel(**tiny(**wrong)).fit(SMALL)


@pytest.mark.parametrize(
    "wrong", [{"image": "cov"}, {"hidden": ()}, {"dropout": 1.0}, {"balance": 2.0}, {"text": "x"}]
)
def test_wrong_network_settings_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="networks: "):
        NetworkSettings(**wrong)


def test_numbers_of_numpy_are_numbers(tmp_path) -> None:
    """Searches over parameters hand out such ones."""
    grid = {"latent_dim": np.int64(2), "epochs": np.int32(1), "learning_rate": np.float32(1e-3)}
    model = MultimodalModel(**tiny(**grid, settings={"beta": np.float64(0.5)})).fit(SMALL)
    model.save(tmp_path / "m.pm")
    assert np.array_equal(pm.load(tmp_path / "m.pm").embed(SMALL), model.embed(SMALL))


@pytest.mark.parametrize("recipe", ["mvae", "mopoe", "mvtcae", "jmvae"])
def test_private_latents(recipe) -> None:
    data = frame(30)[["w", "photo"]]
    model = MultimodalModel(**tiny(recipe=recipe, private_dim=2)).fit(data)
    whole = model.embed(data, "all")
    assert whole.shape == (30, 3 + 2 * 2)
    for block, numbers in {"shared": range(3), "table": range(3, 5), "photo": range(5, 7)}.items():
        assert np.array_equal(model.embed(data, block), whole[:, numbers])
    assert np.array_equal(model.embed(data), whole[:, :3])
    with pytest.raises(
        ValueError, match="of the block 'foto'; there are shared, table, photo, all"
    ):
        model.embed(data, "foto")
    assert not model.impute(data, draws=2).mean.isna().any().any()


@pytest.mark.parametrize(
    ("recipe", "own"), [("mmvaeplus", 16), ("cmvae", 16), ("dmvae_private", 1), ("mvae", 0)]
)
def test_no_private_latents_are_not_the_recipes_own_number(recipe, own, tmp_path) -> None:
    """None is the recipe's own default, 0 is none; also after saving, or with nothing to set."""
    for given, size in ((None, own), (0, 0), (2, 2)):
        model = MultimodalModel(**tiny(recipe=recipe, private_dim=given, epochs=1)).fit(SMALL)
        model.save(tmp_path / "m.pm")
        for fitted in (model, pm.load(tmp_path / "m.pm")):
            assert fitted.private_dim == given
            assert fitted.model_.layout.dim == 3 + size * len(fitted.model_.names)
    for given in (None, 0):
        MultimodalModel(**tiny(recipe="mmvae", private_dim=given, epochs=1)).fit(SMALL)


def test_a_file_of_before_zero_meant_none_means_what_it_meant() -> None:
    """Then 0 was the recipe's own number."""
    parameters = {"private_dim": 0, "networks": None, "settings": None}
    assert unpack_parameters(parameters)["private_dim"] is None
    assert pack_parameters(unpack_parameters(parameters))["private_dim"] == 0
    for given in (None, 0, 3):
        packed = pack_parameters({**parameters, "private_dim": given})
        assert unpack_parameters(packed)["private_dim"] == given


def test_what_is_no_data_is_refused() -> None:
    model = MultimodalModel(**tiny())
    for wrong in (None, {"a": np.ones(3)}, np.ones((3, 2))):
        with pytest.raises(TypeError, match="read takes a path or a pandas frame"):
            model.fit(wrong)
    with pytest.raises(ValueError, match="no rows"):
        model.fit(SMALL[:0])
    with pytest.raises(ValueError, match="no rows"):
        model.fit(pm.read(SMALL)[:0])
    model.fit(SMALL)
    for ask in (model.embed, model.impute, model.score, model.reconstruct):
        with pytest.raises(ValueError, match="no rows"):
            ask(pm.read(SMALL)[:0])
    with pytest.raises(ValueError, match="n must be a whole number"):
        model.generate(0)
    with pytest.raises(ValueError, match="n must be a whole number"):
        model.generate(2.5)
    with pytest.raises(ValueError, match="draws must be a whole number"):
        model.impute(SMALL, draws=0)
