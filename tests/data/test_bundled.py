"""The bundled data are what the documentation says, with their licences beside them."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from polymodal.data import DataCodec, load_bundled
from polymodal.data.bundled import BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_every_set_is_encoded_and_comes_back(name: str) -> None:
    data = load_bundled(name)
    codec = DataCodec.fit(data)
    tensors = codec.encode(data)
    for modality in data.names:
        raw, back = data.values(modality), codec.decode(modality, tensors.x[modality])
        there = data.present(modality)
        assert (tensors.present[modality].numpy() == there).all()
        if isinstance(raw, pd.DataFrame):
            pd.testing.assert_frame_equal(
                back.where(there), raw.reset_index(drop=True).where(there), rtol=1e-5
            )
        elif raw.dtype == object or raw.dtype == np.uint8:
            assert (raw == back).all()
        else:
            np.testing.assert_allclose(back[there], raw[there], rtol=1e-4, atol=1e-4)


def test_fashion_is_complete_with_three_modalities() -> None:
    data = load_bundled("fashion")
    assert len(data) == 2000
    assert data.names == ("image", "table", "caption")
    kinds = [c.kind for c in data.schema["table"].columns]
    assert kinds.count("category") == 6
    assert len(kinds) == 9
    assert all(data.present(name).all() for name in data.names)


def test_the_assays_are_missing_as_in_life() -> None:
    data = load_bundled("tcga_acc")
    n_there = {n: int(data.present(n).any(1).sum()) for n in data.names}
    assert n_there == {
        "rna": 79,
        "copy_number": 90,
        "protein": 46,
        "mutations": 90,
        "mirna": 80,
        "clinical": 92,
    }


def test_the_views_of_the_digits_and_their_fixed_test_rows() -> None:
    data = load_bundled("mfeat")
    sizes = {n: s.size for n, s in data.schema.modalities.items() if s.kind == "vector"}
    assert sizes == {"fou": 76, "fac": 216, "kar": 64, "pix": 240, "zer": 47, "mor": 6}
    assert data.values("pix").dtype == np.uint8
    assert data.schema["label"].columns[0].levels == tuple(range(10))
    assert (len(load_bundled("mfeat", "train")), len(load_bundled("mfeat", "test"))) == (1600, 400)
    assert (len(load_bundled("fashion", "train")), len(load_bundled("fashion", "test"))) == (
        1600,
        400,
    )


def test_what_is_not_there_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="Did you mean 'penguins'"):
        load_bundled("pengins")
    with pytest.raises(ValueError, match="no fixed test rows"):
        load_bundled("penguins", "test")
    with pytest.raises(ValueError, match="split must be"):
        load_bundled("mfeat", "val")


@pytest.mark.parametrize("name", BUNDLED)
def test_a_notice_stands_beside_the_data(name: str) -> None:
    notice = (files("polymodal.data") / "bundled" / f"NOTICE-{name}").read_text(encoding="utf-8")
    assert "icen" in notice
    assert f"{name}." in notice
