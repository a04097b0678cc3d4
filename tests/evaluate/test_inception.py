"""Inception features: the file that they come from, what is done to pictures, and the distance."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.evaluate.test_probe import Values, linear

from polymodal.evaluate import InceptionFeatures, evaluate_fidelity
from polymodal.evaluate.inception import PUBLISHED, prepared
from polymodal.files import FileError
from polymodal.networks.inception import Inception


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file of random weights of half precision, with the counters that some files have."""
    generator = torch.Generator().manual_seed(0)
    held = {}
    for name, value in Inception().state_dict().items():
        drawn = torch.rand(value.shape, generator=generator)
        if value.ndim == 4:
            # Of variance 2 / (inputs of a unit), so that numbers stay of one size.
            drawn = (drawn - 0.5) * (24 / value[0].numel()) ** 0.5
        held[name] = (drawn if value.ndim > 1 else drawn + 0.5).half()
        if name.endswith("running_var"):
            held[name.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    path = tmp_path_factory.mktemp("inception") / "random.safetensors"
    save_file(held, path)
    return path


def test_features_are_the_networks_of_prepared_pictures(weights: Path) -> None:
    inception = InceptionFeatures.read(weights)
    grey = torch.rand(2, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    found = inception.features(grey)
    assert torch.equal(torch.get_rng_state(), state)
    assert found.shape == (2, 2048)
    assert found.dtype == torch.float32
    assert (found[0] - found[1]).abs().max() > 1e-3
    # A grey picture is one of three equal channels, and rows know nothing of each other.
    repeated = inception.features(grey[1:].repeat(1, 3, 1, 1).numpy())
    torch.testing.assert_close(repeated, found[1:], rtol=1e-4, atol=1e-4)
    assert inception.features(grey[:0]).shape == (0, 2048)


def test_pictures_are_scaled_to_the_side_and_to_both_signs() -> None:
    whole = torch.rand(1, 3, 299, 299)
    assert torch.equal(prepared(whole), 2 * whole - 1)
    bytes_ = torch.randint(0, 256, (2, 1, 5, 4), dtype=torch.uint8)
    assert torch.equal(prepared(bytes_), prepared(bytes_.float() / 255))
    odd = torch.tensor([-3.0, 0.0, math.nan, 1.0, 7.0, 0.5]).reshape(1, 1, 2, 3)
    tame = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 0.5]).reshape(1, 1, 2, 3)
    assert torch.equal(prepared(odd), prepared(tame))
    # Between the centres of pixels a ramp stays a ramp: centre of pixel i is (i + 1/2) / n.
    ramp = (torch.arange(10) / 10).expand(1, 1, 4, 10)
    centres = (torch.arange(299) + 0.5) / 299 * 10 - 0.5
    expected = (centres.clamp(0, 9) / 10 * 2 - 1).expand(1, 3, 299, 299)
    torch.testing.assert_close(prepared(ramp), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (2, 8, 8), (2, 3, 0, 8)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must have shape \(N, 1 or 3, H, W\), got"):
        InceptionFeatures(Inception()).features(torch.zeros(shape))


def test_a_wrong_file_is_one_clear_sentence(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other_network = {
        "fc.weight": torch.zeros(1000, 2048),
        "fc.bias": torch.zeros(1008, dtype=torch.int64),
        "AuxLogits.fc.bias": torch.zeros(1000),
    }
    save_file(other_network, other)
    with pytest.raises(FileError) as said:
        InceptionFeatures.read(other)
    for part in (
        "lacks Conv2d_1a_3x3.conv.weight, Conv2d_1a_3x3.bn.weight and 468 more",
        "has strange AuxLogits.fc.bias",
        "fc.weight is (1000, 2048), not (1008, 2048)",
        "no real numbers in fc.bias",
        str(other),
    ):
        assert part in str(said.value)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:1000])
    pickled = tmp_path / PUBLISHED
    pickled.write_bytes(b"never opened")
    for path, match in (
        (cut, "truncated, damaged or not"),
        (pickled, "a pickle.*convert it once.*weights_only=True"),
        (tmp_path, "this is a folder"),
        (tmp_path / "none.safetensors", "there is no such file"),
    ):
        with pytest.raises(FileError, match=match):
            InceptionFeatures.read(path)


class Doubled:
    """Features that are twice the values: their squared distance is four times as large."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


def test_the_second_distance_stands_beside_the_first_where_it_was_asked() -> None:
    model, test, _ = linear(60, 6)
    judges = {"a": Values(), "b": Values()}
    said = evaluate_fidelity(model, test, judges, inception={"a": Doubled()})
    for row in said.rows:
        if row.name == "a":
            assert row.fid == pytest.approx(4 * row.frechet)
            assert row.fid_floor == pytest.approx(4 * row.floor)
        else:
            assert math.isnan(row.fid)
    table = said.table()
    assert table["FID (Inception)"].notna().tolist() == (table["name"] == "a").tolist()
    assert said.to_dict()["rows"][-1]["fid"] == pytest.approx(said.rows[-1].fid)
    assert str(said).count("; FID (Inception)") == 2
    (note,) = said.notes
    assert note.startswith(
        "FID (Inception) of a is biased upwards: it stands on 60 rows, and 2,048"
    )
    plain = evaluate_fidelity(model, test, judges)
    assert "FID (Inception)" not in plain.table()
    assert "FID" not in str(plain)
    assert [row.frechet for row in plain.rows] == [row.frechet for row in said.rows]


def test_enough_rows_are_not_doubted_and_a_modality_without_judge_is_named() -> None:
    model, test, _ = linear(2049, 7)
    asked = {"a": Values(), "b": Values()}
    said = evaluate_fidelity(model, test, {"a": Values()}, inception=asked, subsets=[])
    assert said.notes == [
        "b has no judge or too few real rows, so it has no FID (Inception) either."
    ]
