"""Pictures, values and planes of the report."""

from __future__ import annotations

import base64
import io
import itertools
import math

import numpy as np
import pytest
from PIL import Image

from polymodal.report.cells import spread, write_value
from polymodal.report.holes import sort_rows, thin_out
from polymodal.report.pictures import encode_image, encode_mask, encode_strip
from polymodal.report.plane import project


def pixels(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_an_image_keeps_its_pixels() -> None:
    image = np.linspace(0, 1, 3 * 5 * 4).reshape(3, 5, 4)
    np.testing.assert_array_equal(
        pixels(encode_image(image)), (image.transpose(1, 2, 0) * 255).round()
    )
    assert pixels(encode_image(np.full((1, 5, 4), 2.0))).tolist() == [[255] * 4] * 5
    assert max(pixels(encode_image(np.zeros((1, 500, 300)))).shape) <= 96


def test_a_strip_is_blue_below_red_above_and_grey_where_missing() -> None:
    low, mid, high, gone = pixels(encode_strip(np.array([-9.0, 0.0, 9.0, np.nan])))[0].astype(int)
    assert low[2] > low[0]
    assert abs(mid - mid.mean()).max() < 3
    assert high[0] > high[2]
    assert gone.tolist() == [200, 200, 200]
    assert pixels(encode_strip(np.zeros(90))).shape == (3, 32, 3)
    assert pixels(encode_strip(np.zeros(240))).shape == (16, 15, 3)


def test_a_mask_is_a_pixel_an_entry() -> None:
    there = np.array([[True, False], [False, True], [True, True]])
    picture = pixels(encode_mask(there))
    assert picture.shape == (3, 2, 3)
    assert (picture[..., 2] > picture[..., 0]).tolist() == there.tolist()


def test_rows_are_sorted_by_what_they_lack() -> None:
    rng = np.random.default_rng(0)
    there = rng.random((1000, 3)) > 0.3
    ordered = sort_rows(there)
    lacking = (~ordered).sum(1)
    assert (np.diff(lacking) >= 0).all()
    patterns = [tuple(row) for row in ordered]
    changes = sum(a != b for a, b in itertools.pairwise(patterns))
    assert changes == len(set(patterns)) - 1  # equal ones stand together
    assert thin_out(ordered).shape == (400, 3)
    assert thin_out(ordered[:7]).shape == (7, 3)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (3.0, "3"),
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (1.5e-7, "1.5e-07"),
        (math.nan, "missing"),
        (None, "missing"),
        ("a" * 60, "a" * 47 + "…"),
        (True, "True"),
        (np.float32(2.5), "2.5"),
    ],
)
def test_values_are_written_for_people(value: object, written: str) -> None:
    assert write_value(value) == written


def test_draws_are_summed_up() -> None:
    assert spread(list(np.arange(101.0))) == "5 to 95"
    assert spread(["a", "a", "b", "a"]) == "a 75%, b 25%"


def test_the_plane_keeps_distances_of_planar_points() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(20, 2)) * [3.0, 1.0]
    turned = flat @ np.linalg.qr(rng.normal(size=(5, 5)))[0][:2]
    points, shares = project(turned)
    wanted = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    got = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.testing.assert_allclose(got, wanted, atol=1e-9)
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] > shares[1]
    assert project(np.zeros((1, 3)))[0].tolist() == [[0.0, 0.0]]
