"""Sounds: every form there and back, and every outcome."""

from __future__ import annotations

import io
import json
import sys
import wave
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import polymodal as pm
from polymodal.data import DataCodec, ModalitySpec, from_arrays, read
from polymodal.data.modalities import NetworkSettings, modalities_of
from polymodal.data.names import objects
from polymodal.data.sounds import resampled, wav_bytes

RATE = 8000
TIME = np.arange(2000) / RATE
TONES = np.array([0.4 * np.sin(2 * np.pi * hz * TIME) for hz in (300, 700, 1200, 1800)])


def codec_of(values: object, **settings: object) -> tuple[DataCodec, pm.MultimodalData]:
    spec = ModalitySpec("audio", column="a", **settings)  # type: ignore[arg-type]
    data = from_arrays({"a": values}, kinds={"a": spec})
    return DataCodec.fit(data), data


def pitch(samples: np.ndarray) -> float:
    """The strongest frequency in Hz."""
    shown = samples.astype(np.float64) * np.hanning(len(samples))
    return float(np.abs(np.fft.rfft(shown)).argmax() * RATE / len(samples))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_sounds_come_back_with_their_pitch(dtype: type) -> None:
    whole = np.issubdtype(dtype, np.integer)
    values = (TONES * (32767 if whole else 1)).astype(dtype)
    codec, data = codec_of(values, rate=RATE)
    spec = codec.schema["a"]
    assert (spec.rate, spec.n_fft, spec.hop, spec.size) == (8000, 256, 64, (32, 33))
    tensors = codec.encode(data)
    assert tensors.x["a"].shape == (4, 1, 32, 33)
    assert abs(float(tensors.x["a"].std()) - 1) < 0.01
    back = codec.decode("a", tensors.x["a"])
    assert (back.dtype, back.shape) == (values.dtype, values.shape)
    for made, given in zip(back, values, strict=True):
        assert abs(pitch(made) - pitch(given)) < 31.25  # a frequency of the transform
        assert 0.5 < np.square(made.astype(float)).sum() / np.square(given.astype(float)).sum() < 2
    np.testing.assert_array_equal(back, codec.decode("a", tensors.x["a"]))


def test_lengths_may_differ() -> None:
    sounds = objects([TONES[0][:800], None, TONES[1], TONES[2][:1500]])
    codec, data = codec_of(sounds, rate=RATE)
    tensors = codec.encode(data)
    assert tensors.present["a"].tolist() == [True, False, True, True]
    assert tensors.x["a"].shape[2:] == (32, 33)
    back = codec.decode("a", tensors.x["a"])
    assert [one.shape for one in back] == [(2000,)] * 4
    # what is beyond the end of a short sound is silence
    assert np.abs(back[0][1200:]).max() < 0.02
    assert abs(pitch(back[0][:800]) - 300) < 31.25


@pytest.mark.parametrize("shape", [(5, 32, 20), (5, 1, 32, 20)])
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8])
def test_spectrograms_are_taken_as_they_are(shape: tuple[int, ...], dtype: type) -> None:
    values = (np.random.default_rng(0).random(shape) * 50).astype(dtype)
    codec, data = codec_of(values)
    assert codec.schema["a"].size == (32, 20)
    back = codec.decode("a", codec.encode(data).x["a"])
    assert (back.dtype, back.shape) == (values.dtype, values.shape)
    np.testing.assert_allclose(back, values, atol=0.05 if dtype == np.float16 else 1e-4)
    (found,) = modalities_of(codec, NetworkSettings(hidden=(8,)))
    out = found.decoder(3)(torch.zeros(2, 3))
    assert out.shape == (2, 1, 32, 20)


def test_files_bytes_and_mappings_are_opened(tmp_path) -> None:
    pytest.importorskip("soundfile")
    for i, tone in enumerate(TONES):
        (tmp_path / f"{i}.wav").write_bytes(wav_bytes(tone, RATE))
    half = wav_bytes(resampled(TONES[3].astype(np.float32), RATE, RATE * 2), RATE * 2)
    (tmp_path / "3.wav").write_bytes(half)
    names = ["0.wav", "1.wav", None, "2.wav", "3.wav"]
    pd.DataFrame({"sound": names, "w": range(5)}).to_csv(tmp_path / "a.csv", index=False)
    data = read(tmp_path / "a.csv")
    assert (data.schema["sound"].kind, data.schema["sound"].rate) == ("audio", RATE)
    assert data.present("sound").tolist() == [True, True, False, True, True]
    np.testing.assert_allclose(data.values("sound")[1], TONES[1], atol=1e-4)
    assert len(data.values("sound")[4]) == 2000
    cells = [wav_bytes(tone, RATE) for tone in TONES]
    for held in (cells, [{"bytes": one, "path": "x.wav"} for one in cells]):
        frame = pd.DataFrame({"sound": objects([*held, None])})
        frame.to_parquet(tmp_path / "a.parquet")
        again = read(tmp_path / "a.parquet")
        assert again.schema["sound"].kind == "audio"
        np.testing.assert_allclose(again.values("sound")[0], TONES[0], atol=1e-4)
    held = [{"array": tone, "sampling_rate": RATE} for tone in TONES]
    data = read(pd.DataFrame({"sound": objects(held)}))
    np.testing.assert_allclose(data.values("sound")[2], TONES[2], atol=1e-6)


def test_without_soundfile_one_sentence_says_what_to_do(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(TONES[0], RATE))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'polymodal\[audio\]'"):
        read(pd.DataFrame({"sound": [str(tmp_path / "a.wav")] * 3}))


def test_wav_bytes_hold_the_samples() -> None:
    with wave.open(io.BytesIO(wav_bytes(np.array([0.0, 1.0, -1.0, 0.5]), RATE))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, 4)
        samples = np.frombuffer(file.readframes(4), dtype="<i2")
    assert samples.tolist() == [0, 32767, -32767, 16384]


LOUD = (TONES * 60000).round()  # 24,000 at most, as a recorder of 16 bits has it


def cells_of(values: np.ndarray, form: str) -> np.ndarray:
    """The same sounds in cells, the first of them missing."""
    whole = values.astype(np.int64)
    made: dict[str, Any] = {
        "lists": whole.tolist(),
        "text": map(str, whole.tolist()),
        "int64": list(whole),
        "int16": list(whole.astype(np.int16)),
        "mappings": [{"array": one, "sampling_rate": RATE} for one in whole],
        "mappings of lists": [{"array": one, "sampling_rate": RATE} for one in whole.tolist()],
        "channels first": [{"array": [one, one], "sampling_rate": RATE} for one in whole.tolist()],
        "channels last": [{"array": np.stack([x, x], 1), "sampling_rate": RATE} for x in whole],
    }
    return objects([None, *made[form]])


FORMS = ["lists", "text", "int64", "int16", "mappings", "mappings of lists", "channels first"]


@pytest.mark.parametrize("form", [*FORMS, "channels last"])
def test_whole_numbers_are_as_loud_as_16_bits_say(form: str) -> None:
    schema = pm.Schema({"a": ModalitySpec("audio", column="a", rate=RATE)})
    data = read(pd.DataFrame({"a": cells_of(LOUD, form)}), schema)
    codec = DataCodec.fit(data)
    floats, plain = codec_of(objects([None, *(LOUD / 32767).astype(np.float32)]), rate=RATE)
    wanted = floats.encode(plain).x["a"]
    torch.testing.assert_close(codec.encode(data).x["a"], wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_filled_has_the_form_of_whole_numbers(form: str) -> None:
    column = cells_of(LOUD, form)
    schema = pm.Schema({"a": ModalitySpec("audio", column="a", rate=RATE)})
    data = read(pd.DataFrame({"a": column}), schema)
    new = data.values("a").copy()
    new[0] = np.array([0.0, 1.0, -0.5], dtype=np.float32)
    cells = objects(data.replace({"a": new}).native()["a"])
    got = cells[0]["array"] if "mappings" in form or "channels" in form else cells[0]
    for one in got if "channels" in form else [got]:
        assert (one if isinstance(one, str) else str(list(map(int, one)))) == "[0, 32767, -16384]"
    assert list(map(str, cells[1:])) == list(map(str, column[1:]))


def test_arrays_of_wide_whole_numbers_are_narrowed() -> None:
    _, plain = codec_of(LOUD.astype(np.int16), rate=RATE)
    for dtype in (np.int32, np.int64):
        _, data = codec_of(LOUD.astype(dtype), rate=RATE)
        assert data.values("a").dtype == np.int16
        np.testing.assert_array_equal(data.values("a"), plain.values("a"))
    # all rows say how many bits there are: the quiet ones have as many
    loud = np.stack([LOUD[0] * 65536, LOUD[1]]).astype(np.int64)
    _, data = codec_of(loud, rate=RATE)
    assert data.values("a").dtype == np.int32
    _, data = codec_of(objects(loud), rate=RATE)
    assert [one.dtype for one in data.values("a")] == [np.int32] * 2
    _, data = codec_of((LOUD // 256 + 128).astype(np.uint8), rate=RATE)
    np.testing.assert_array_equal(data.values("a"), LOUD // 256 * 256)


@pytest.mark.parametrize("axis", [0, 1])
def test_channels_are_averaged_whichever_axis_they_are(axis: int) -> None:
    both = [{"array": np.stack([one, 0 * one], axis), "sampling_rate": RATE} for one in TONES]
    data = read(pd.DataFrame({"sound": objects(both)}))
    assert (data.schema["sound"].rate, data.schema["sound"].size) == (RATE, None)
    np.testing.assert_allclose(data.values("sound")[1], TONES[1] / 2, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, lambda one: str(one.tolist())])
def test_lists_of_channels_are_sounds_where_the_schema_has_a_rate(axis: int, form) -> None:
    both = objects(form(np.stack([one, 0 * one], axis)) for one in TONES)
    schema = pm.Schema({"a": ModalitySpec("audio", column="a", rate=RATE)})
    data = read(pd.DataFrame({"a": both}), schema)
    np.testing.assert_allclose(data.values("a")[1], TONES[1] / 2, atol=1e-6)
    # a model of one channel reads them too
    codec, _ = codec_of(objects(TONES), rate=RATE)
    assert codec.encode(read(pd.DataFrame({"a": both}), codec.schema)).present["a"].all()
    spectra = pm.Schema({"a": ModalitySpec("audio", column="a")})
    size = (2, 2000) if axis == 0 else (2000, 2)
    assert read(pd.DataFrame({"a": both}), spectra).schema["a"].size == size


def test_a_mapping_without_a_rate_takes_that_of_the_schema() -> None:
    held = objects([{"array": one.tolist()} for one in TONES])
    with pytest.raises(ValueError, match="row 0: the mapping has no 'sampling_rate', and the"):
        read(pd.DataFrame({"a": held}))
    schema = pm.Schema({"a": ModalitySpec("audio", column="a", rate=RATE)})
    data = read(pd.DataFrame({"a": held}), schema)
    np.testing.assert_allclose(data.values("a")[1], TONES[1], atol=1e-6)
    filled = data.values("a").copy()
    filled[0] = np.zeros(3, np.float32)
    assert set(data.replace({"a": filled}).native()["a"][0]) == {"array"}


def test_wav_bytes_of_whole_numbers_and_of_channels() -> None:
    wanted = wav_bytes(np.array([0, 20000, -20000], dtype=np.int16), RATE)
    assert wav_bytes(np.array([0, 20000, -20000]), RATE) == wanted
    assert wav_bytes(np.array([[0, 20000, -20000]] * 2), RATE) == wanted


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"array": [0.0], "sampling_rate": 0}, "'sampling_rate' must be a whole .* got 0"),
        ({"array": [0.0], "sampling_rate": 0.5}, "'sampling_rate' must be a whole .* got 0.5"),
        ({"array": [0.0], "sampling_rate": "fast"}, "'sampling_rate' must be .* got 'fast'"),
        ({"array": None, "sampling_rate": RATE}, "none of 'array', 'bytes' and 'path'"),
        ({"array": "x", "sampling_rate": RATE}, "'array' must hold samples, got 'x'"),
        ({"array": ["x"], "sampling_rate": RATE}, "'array': expected samples of numbers, got 'x'"),
        ({"array": np.zeros((2, 2, 2)), "sampling_rate": RATE}, r"got shape \(2, 2, 2\)"),
        ({"array": [9.0], "sampling_rate": RATE}, r"samples must lie in \[-1, 1\], got 9"),
        ([2**40, 0], "whole numbers of sounds have 16 or 32 bits, got 1099511627776"),
        (np.array([0, 9], np.uint16), "samples have a sign, got uint16"),
        ("[0.5, oops]", "expected samples, got '.* got oops"),
    ],
)
def test_a_cell_that_is_no_sound_is_one_sentence(cell: object, said: str) -> None:
    with pytest.raises(ValueError, match=f"row 0: .*{said}") as fault:
        codec_of(objects([cell]), rate=RATE)
    assert ".." not in str(fault.value)


@pytest.mark.parametrize(
    ("values", "settings", "said"),
    [
        (TONES, {}, "samples need their rate"),
        (np.zeros(4), {"rate": RATE}, "sounds are samples \\(rows, samples\\)"),
        (np.zeros((3, 0)), {"rate": RATE}, "sounds are samples"),
        (np.full((1, 9), 2.0), {"rate": RATE}, "row 0: samples must lie in \\[-1, 1\\], got 2"),
        (np.array([[0.0, np.inf]]), {"rate": RATE}, "row 0, value 1: the value is infinite"),
        (np.array([[0.0, np.nan]]), {"rate": RATE}, "row 0: a sound has NaN in some places"),
        (objects([[0.0, np.nan]]), {"rate": RATE}, "row 0: the sound has NaN or infinite"),
        (objects([[]]), {"rate": RATE}, "row 0: the sound has no samples"),
        (
            objects([[0.0], np.zeros((3, 4))]),
            {"rate": RATE},
            "some rows are samples, others spectro",
        ),
        (
            np.zeros((5, 2, 900)),
            {"rate": RATE},
            r"shape \(2, 900\) with a rate may be channels or",
        ),
        (objects([np.zeros((8, 900))]), {"rate": RATE}, r"shape \(8, 900\) with a rate may be"),
        (objects([[]]), {"rate": RATE}, r"row 0: .* leave the cell empty \(None\)"),
        (objects([np.zeros((2, 3)), np.zeros((2, 4))]), {}, "spectrograms must have one shape"),
        (np.zeros((2, 3, 4, 5)), {}, "spectrograms have one channel, got 3"),
        (np.zeros((2, 8, 9)), {"size": (8, 10)}, "the schema has spectrograms of \\(8, 10\\)"),
        (objects(["lost.wav"]), {}, "row 0: there is no file 'lost.wav'"),
        (objects([b"no sound"]), {}, "row 0: 8 bytes that are no sound"),
        (objects([3.5]), {}, "row 0: expected a path, bytes or samples, got 3.5"),
    ],
)
def test_what_does_not_fit_is_one_sentence(values: object, settings: dict, said: str) -> None:
    if "bytes" in said:
        pytest.importorskip("soundfile")
    with pytest.raises(ValueError, match=said):
        codec_of(values, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 3}, "must be \\[mel bands, frames\\], got 3"),
        ({"rate": 0}, "rate must be a whole number of at least 1"),
        ({"n_fft": 64, "hop": 33}, "hop must be at most half of n_fft"),
    ],
)
def test_a_wrong_schema_is_one_sentence(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModalitySpec("audio", column="a", **settings)


@pytest.mark.parametrize("values", [np.zeros((3, 500)), TONES[:1], np.zeros((2, 3))])
def test_silence_a_single_row_and_very_short_sounds(values: np.ndarray) -> None:
    codec, data = codec_of(values, rate=RATE)
    tensors = codec.encode(data)
    back = codec.decode("a", tensors.x["a"])
    assert back.shape == values.shape
    assert np.isfinite(back).all()
    assert tensors.x["a"].isfinite().all()
    if not values.any():
        assert not back.any()
    (found,) = modalities_of(codec, NetworkSettings(hidden=(8,)))
    assert found.encoder(tensors.x["a"]).isfinite().all()


def test_the_codec_is_the_same_from_its_configuration() -> None:
    for values, settings in ((TONES, {"rate": RATE}), (np.random.rand(3, 8, 9), {})):  # noqa: NPY002
        codec, data = codec_of(values, **settings)
        config, tensors = codec.to_config()
        again = DataCodec.from_config(json.loads(json.dumps(config)), tensors)
        assert again.schema == codec.schema
        assert torch.equal(again.encode(data).x["a"], codec.encode(data).x["a"])
        config["codecs"][0]["scale"] = -1
        with pytest.raises(ValueError, match="damaged"):
            DataCodec.from_config(config, tensors)


def test_samples_are_no_spectrograms() -> None:
    codec: Any = codec_of(np.zeros((3, 8, 9)))[0]
    with pytest.raises(ValueError, match="samples need their rate"):
        codec.encode(from_arrays({"a": TONES[:, :9]}))
    held, present = np.zeros((3, 9)), np.ones(3, bool)
    with pytest.raises(ValueError, match=r"expected spectrograms of \(8, 9\), as in training"):
        codec.codecs["a"].encode(held, present, "arrays, 'a'", "raise")


def test_the_schema_is_printed_and_written(tmp_path) -> None:
    codec, _ = codec_of(TONES, rate=RATE)
    assert "32 mels x 33 frames, 8000 Hz" in str(codec.schema)
    codec.schema.save(tmp_path / "s.yaml")
    assert pm.Schema.load(tmp_path / "s.yaml") == codec.schema
