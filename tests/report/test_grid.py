from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from polymodal.report.grid import GAP, encode_grid, grid_array, write_grid


def test_every_picture_is_in_its_place(tmp_path) -> None:
    pictures = np.random.default_rng(0).random((2, 3, 3, 5, 4))
    whole = grid_array(pictures)
    assert whole.shape == (2 * 5 + GAP, 3 * 4 + 2 * GAP, 3)
    for i in range(2):
        for j in range(3):
            top, left = i * (5 + GAP), j * (4 + GAP)
            part = whole[top : top + 5, left : left + 4]
            assert (part == (pictures[i, j].transpose(1, 2, 0) * 255).round()).all()
    assert (whole[5 : 5 + GAP] == 255).all()
    path = write_grid(pictures, tmp_path / "grid.png")
    assert (np.asarray(Image.open(path)) == whole).all()
    kept = base64.b64decode(encode_grid(pictures).partition(",")[2])
    assert (np.asarray(Image.open(io.BytesIO(kept))) == whole).all()


def test_grey_wild_and_missing_values_have_a_colour() -> None:
    whole = grid_array(np.array([-1.0, 0.5, 9.0, np.nan]).reshape(1, 1, 1, 2, 2))
    assert whole[..., 0].tolist() == [[0, 128], [255, 128]]
    assert (whole == whole[..., :1]).all()


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 2, 5, 4, 4), (0, 2, 1, 4, 4)])
def test_what_is_no_grid_is_refused(shape) -> None:
    with pytest.raises(ValueError, match="rows, columns"):
        grid_array(np.zeros(shape))
