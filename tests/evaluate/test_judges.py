"""Judges learn what can be told, know what they are, and are kept by what they follow from."""

from __future__ import annotations

import pytest
import torch

from polymodal.data.tensors import Tensors
from polymodal.evaluate.judge import Judge, JudgeInput
from polymodal.evaluate.judges import JudgeSettings, train_judge, train_judges
from polymodal.files import FileError
from polymodal.typing import Column

QUICK = JudgeSettings(hidden=16, epochs=12, batch_size=32, learning_rate=1e-2, dropout=0.0)
N = 200


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


CODES = torch.arange(N) % 3


def pictures() -> torch.Tensor:
    """A bar whose place is the class, wherever it begins."""
    x = 0.1 * noise(N, 1, 16, 16).abs()
    for i, code in enumerate(CODES.tolist()):
        x[i, 0, 3 + 4 * code : 5 + 4 * code] += 0.8
    return x.clamp(0, 1)


def vectors() -> torch.Tensor:
    return 100 + 10 * (noise(N, 5) + 3 * torch.eye(5)[CODES])


def tables() -> torch.Tensor:
    """A number that says nothing and a category that says all."""
    return torch.stack([noise(N), ((CODES + 1) % 3).float()], 1)


def texts() -> torch.Tensor:
    """Words 3 to 5 tell the class, wherever they stand; 6 to 8 do not."""
    x = torch.randint(6, 9, (N, 5), generator=torch.Generator().manual_seed(1))
    x[torch.arange(N), torch.arange(N) % 4] = 3 + CODES
    x[:, 4] = 2
    return x


COLUMNS = (Column("weight", "number"), Column("colour", "category", 3))
CASES = [
    ("picture", pictures, ()),
    ("vector", vectors, ()),
    ("table", tables, COLUMNS),
    ("words", texts, ()),
]


@pytest.mark.parametrize(("kind", "make", "columns"), CASES)
def test_each_kind_learns_what_can_be_told(kind, make, columns) -> None:
    x = make()
    judge = train_judge(x, CODES, columns=columns, settings=QUICK)
    assert judge.reads.kind == kind
    assert judge.n_held_out == 20
    assert judge.accuracy >= 0.9
    assert (judge.predict(x) == CODES).double().mean() > 0.9
    assert judge.features(x).shape == (N, 16)
    scores = judge.head(judge.features(x))
    assert torch.equal(scores.argmax(1), judge.predict(x))


def test_noise_cannot_be_told() -> None:
    """The accuracy is of rows held out: what was learned by heart does not count."""
    judge = train_judge(noise(N, 20), CODES, settings=JudgeSettings(epochs=40, held_out=0.4))
    assert judge.accuracy < 0.55


def test_the_seed_makes_the_judge_and_the_caller_keeps_his_random_state() -> None:
    before = torch.get_rng_state()
    one, two = (train_judge(vectors(), CODES, settings=QUICK) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for key, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[key])
    other = train_judge(vectors(), CODES, settings=JudgeSettings(hidden=16, epochs=2, seed=1))
    assert not torch.equal(other.head.weight, one.head.weight)


def test_what_is_under_a_false_mask_is_not_seen() -> None:
    x, present = vectors(), torch.rand(N, 5, generator=torch.Generator().manual_seed(2)) < 0.8
    judges = []
    for filling in (0.0, float("nan")):
        filled = torch.where(present, x, filling)
        judges.append(train_judge(filled, CODES, present=present, settings=QUICK))
        said = judges[-1].predict(filled, present)
        assert torch.equal(said >= 0, present.any(1))
    for key, value in judges[0].state_dict().items():
        assert torch.equal(value, judges[1].state_dict()[key])


def test_rows_without_label_or_value_teach_nothing() -> None:
    x, codes = vectors(), CODES.clone()
    present = torch.ones(N, dtype=torch.bool)
    present[:30], codes[30:60] = False, -1
    judge = train_judge(x, codes, present=present, settings=QUICK)
    alone = train_judge(x[60:], CODES[60:], settings=QUICK)
    assert torch.equal(judge.head.weight, alone.head.weight)
    assert (judge.predict(x, present)[:30] == -1).all()


def test_what_is_no_number_has_no_class() -> None:
    x = vectors()
    judge = train_judge(x, CODES, settings=QUICK)
    x[1, 2], x[2, 0] = float("nan"), float("inf")
    said = judge.predict(x)
    assert said[1] == said[2] == -1
    assert (said[3:] >= 0).all()
    assert judge.features(x).isfinite().all()


def test_bytes_are_pictures_too() -> None:
    x = (pictures() * 255).round().to(torch.uint8)
    settings = JudgeSettings(hidden=8, epochs=1)
    judge = train_judge(x.numpy(), CODES.numpy(), settings=settings)
    assert torch.equal(judge.predict(x), judge.predict(x.float() / 255))


def test_judges_are_kept_by_data_and_settings(tmp_path) -> None:
    x = vectors()
    first = train_judge(x, CODES, settings=QUICK, cache=tmp_path, name="a/b")
    (file,) = tmp_path.iterdir()
    stamp = file.stat().st_mtime_ns
    again = train_judge(x, CODES, settings=QUICK, cache=tmp_path, name="a/b")
    assert file.stat().st_mtime_ns == stamp
    assert torch.equal(first.features(x), again.features(x))
    assert (again.accuracy, again.n_held_out) == (first.accuracy, first.n_held_out)
    assert (again.classes, again.reads) == (first.classes, first.reads)
    changed = x.clone()
    changed[7, 1] += 1
    train_judge(changed, CODES, settings=QUICK, cache=tmp_path, name="a/b")
    train_judge(x, CODES, settings=JudgeSettings(epochs=1), cache=tmp_path, name="a/b")
    swapped = CODES.clone()
    swapped[0] = 2
    train_judge(x, swapped, settings=QUICK, cache=tmp_path, name="a/b")
    assert len(list(tmp_path.iterdir())) == 4
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(FileError, match="Delete the file"):
        train_judge(x, CODES, settings=QUICK, cache=tmp_path, name="a/b")


def test_a_table_is_kept_with_its_columns(tmp_path) -> None:
    judge = Judge(JudgeInput("table", (2,), COLUMNS), ("x", "y"), 4).eval()
    judge.write(tmp_path / "judge.safetensors")
    read = Judge.read(tmp_path / "judge.safetensors")
    assert read.reads == judge.reads
    assert torch.equal(read.features(tables()), judge.features(tables()))


def test_a_judge_a_modality() -> None:
    source = Tensors(
        {"v": vectors(), "t": tables()},
        {"v": torch.ones(N, dtype=torch.bool), "t": torch.ones(N, 2, dtype=torch.bool)},
    )
    told = []
    judges = train_judges(
        source,
        CODES,
        columns={"t": COLUMNS},
        classes=("x", "y", "z"),
        settings=QUICK,
        on_judge=lambda done, of, name: told.append((done, of, name)),
    )
    assert told == [(0, 2, "v"), (1, 2, "t")]
    assert {name: judge.reads.kind for name, judge in judges.items()} == {
        "v": "vector", "t": "table",
    }  # fmt: skip
    assert judges["v"].classes == ("x", "y", "z")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(N, dtype=torch.long), "two classes"),
        (torch.zeros(3, dtype=torch.long), r"shape \(200,\)"),
        (torch.full((N,), -1), "at least 10 rows"),
    ],
)
def test_errors_name_the_modality(labels, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        train_judge(vectors(), labels, name="mor")
    assert "'mor'" in str(caught.value)
