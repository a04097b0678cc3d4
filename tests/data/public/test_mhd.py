"""MHD is read from a converted file; the published pickles are never opened."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from polymodal.data import DataCodec
from polymodal.data.public import mhd

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"


def parts(n_rows: int = 3) -> tuple:
    """What the published file holds: labels, pictures, trajectories, sounds, two scales."""
    draw = torch.Generator().manual_seed(0)
    scale = {"min": torch.tensor(0.0), "max": torch.tensor(1.0)}
    return (
        torch.arange(n_rows) * 3,
        torch.rand(n_rows, 1, 28, 28, generator=draw),
        torch.rand(n_rows, 200, generator=draw),
        torch.rand(n_rows, 4, 32, 32, generator=draw),
        scale,
        scale,
    )


def write(path: Path, **change: np.ndarray) -> None:
    names = ("label", "image", "trajectory", "sound")
    held = {name: one.numpy() for name, one in zip(names, parts(), strict=False)}
    np.savez(path, **{**held, **change})


def test_the_lines_of_the_page_convert_a_file_that_then_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "test"):
        torch.save(parts(), tmp_path / f"mhd_{split}.pt")
    with pytest.raises(FileNotFoundError, match=r"is a pickle, .* convert it outside"):
        mhd(tmp_path)
    found = re.search(r"```python\n(import numpy.*?mhd_.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    monkeypatch.chdir(tmp_path)
    exec(found[1], {})
    got = mhd(tmp_path)
    label, image, trajectory, sound, *_ = parts()
    assert got.labels.tolist() == label.tolist()
    assert {n: s.kind for n, s in got.data.schema.modalities.items()} == {
        "image": "image",
        "trajectory": "series",
        "sound": "audio",
    }
    assert (got.data.values("image") == image.numpy()).all()
    way = got.data.values("trajectory")
    assert way.shape == (3, 2, 100)
    assert (way[:, 0] == trajectory[:, :100].numpy()).all()
    assert (way[:, 1] == trajectory[:, 100:].numpy()).all()
    spectrogram = got.data.values("sound")
    assert spectrogram.shape == (3, 1, 32, 128)
    for block in range(4):
        part = spectrogram[:, 0, :, 32 * block : 32 * (block + 1)]
        assert (part == sound[:, block].transpose(1, 2).numpy()).all()
    assert len(mhd(tmp_path, "test", n=2)) == 2
    DataCodec.fit(got.data).encode(got.data)


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mhd_train.npz"
    with pytest.raises(FileNotFoundError, match="nexus_pytorch"):
        mhd(tmp_path)
    write(path, label=np.array([1, 2]))
    with pytest.raises(ValueError, match="as many rows each"):
        mhd(tmp_path)
    write(path, label=np.array([1, 2, 10]))
    with pytest.raises(ValueError, match="digits 0 to 9"):
        mhd(tmp_path)
    write(path, trajectory=np.zeros((3, 7)))
    with pytest.raises(ValueError, match="as many numbers across as down"):
        mhd(tmp_path)
    write(path, sound=np.zeros((3, 32, 32)))
    with pytest.raises(ValueError, match="'sound' must have the shape"):
        mhd(tmp_path)
    np.savez(path, label=np.arange(3))
    with pytest.raises(ValueError, match="expected an array 'image', got label"):
        mhd(tmp_path)
