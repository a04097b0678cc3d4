"""The report: whole, small, offline, and deaf to what the data's names would like to do."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polymodal.data.modalities import NetworkSettings
from polymodal.data.sources import from_arrays
from polymodal.estimator import MultimodalModel
from polymodal.evaluate.result import Estimate, Evaluation, Held, SkillRow
from polymodal.report import write_report
from polymodal.report.answers import questions, which_shown
from polymodal.report.charts import draw_training
from polymodal.report.made import describe_making
from polymodal.report.write import describe_calibration

BAD = "<script>alert(1)</script>"


def toy_data(n_rows: int = 48):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, n_rows)
    image = (rng.random((n_rows, 8, 8)) * 80 + group[:, None, None] * 60).astype(np.uint8)
    words = np.array(["<b>red</b> hat", "blue & green", "a 'grey' \"coat\""], dtype=object)
    table = pd.DataFrame(
        {
            BAD: np.array(["</script>", "b", "c"])[group],
            "size": group + rng.normal(size=n_rows),
        }
    )
    table.loc[:4, "size"] = np.nan
    return from_arrays(
        {
            "photo": image,
            "note": words[group],
            "facts": table,
            "gene": rng.normal(size=(n_rows, 40)) + group[:, None],
        }
    )


@pytest.fixture(scope="module")
def fitted() -> MultimodalModel:
    networks = NetworkSettings(hidden=(16,), text_width=16)
    return MultimodalModel(epochs=2, latent_dim=4, progress=False, networks=networks).fit(
        toy_data()
    )


def evaluation() -> Evaluation:
    one = Estimate(0.5, 0.4, 0.6)
    row = SkillRow(
        "cells", "facts", BAD, "category", "error_rate", 40, one, one, None, one, None, None,
        "knn", Estimate(-0.2, -0.4, -0.1), "worse",
    )  # fmt: skip
    calibration = [(0.5, 0.45, 80), (0.9, 0.7, 80)]
    held = Held(Estimate(0.7, 0.6, 0.8), 80, 40)
    return Evaluation([row], f"The verdict on {BAD}.", calibration, held=held)


@pytest.fixture(scope="module")
def page(fitted: MultimodalModel, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    data = toy_data(20)
    assert write_report(path, fitted, data, evaluation=evaluation(), title=f"On {BAD}") == path
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text("utf-8")


def test_it_is_small(page: str) -> None:
    assert len(page.encode()) < 2_000_000


def test_it_needs_no_network(page: str) -> None:
    assert not re.findall(r"<(?:link|iframe|object|embed|base)\b", page)
    sources = re.findall(r'\bsrc="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.findall(r"@import|url\(", page)
    links = re.findall(r'\bhref="([^"]*)"', page)
    assert [link for link in links if not link.startswith("#")] == [
        "https://arxiv.org/abs/1903.12436"
    ]
    assert "fetch(" not in page
    assert "XMLHttpRequest" not in page


def test_it_says_how_much_of_the_latent_space_its_plane_shows(page: str) -> None:
    said = re.search(
        r"in which they differ most \((\d+)% and (\d+)% of the variance\)\. (.*?)</p>", page
    )
    assert said
    assert int(said[2]) <= int(said[1]) <= 100 - int(said[2])
    assert "of 4 latent numbers that modalities share" in said[3] or "All 4 latent" in said[3]
    assert said[3].endswith("The 64 that are one modality&#39;s own are not shown here.")


def test_its_pictures_open(page: str) -> None:
    found = set(re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page))
    sizes = {Image.open(io.BytesIO(base64.b64decode(one))).size for one in found}
    assert (8, 8) in sizes  # the data's own
    assert any(width > 300 for width, _ in sizes)  # charts
    assert len(found) > 20


def test_names_and_values_are_escaped(page: str) -> None:
    assert BAD not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>red</b>" not in page
    # Our own two, and the points of the latent plane; a value may not close one early.
    assert page.count("<script") == 2
    assert page.count("</script>") == 2


def test_every_section_is_there(page: str) -> None:
    for section in (
        "data", "training", "skill", "answers", "calibration", "latent", "generated", "made",
    ):  # fmt: skip
        assert f'<section id="{section}">' in page
        assert f'href="#{section}"' in page
    assert page.index('class="verdict"') < page.index('id="data"')
    assert "too narrow" in page
    assert "worse than 5 neighbours" in page
    assert page.count("<details") == 14 + 1  # every subset of four, and the citation


def test_the_reading_of_the_intervals_is_that_of_the_verdict() -> None:
    def read(n: int) -> str:
        held = Held(Estimate(1.0, 1.0, 1.0), n, n)
        found = describe_calibration(Evaluation([], "", [(0.9, 1.0, n)], held=held))
        assert found is not None
        return found["sentence"]

    assert "100% lay inside their 90% intervals; that may be chance, as there are too" in read(2)
    assert "100% lay inside their 90% intervals: they are wider than they need to be." in read(200)


def test_without_an_evaluation_its_sections_are_left_out(
    fitted: MultimodalModel, tmp_path: Path
) -> None:
    page = write_report(tmp_path / "r.html", fitted, toy_data(9)).read_text("utf-8")
    assert 'id="skill"' not in page
    assert 'id="calibration"' not in page
    assert 'class="verdict"' not in page
    assert 'id="answers"' in page


def test_the_same_seed_writes_the_same_page(fitted: MultimodalModel, tmp_path: Path) -> None:
    one, two = (
        write_report(tmp_path / f"{i}.html", fitted, toy_data(6)).read_bytes() for i in range(2)
    )
    assert one == two


def test_a_row_with_nothing_and_a_modality_nobody_has(
    fitted: MultimodalModel, tmp_path: Path
) -> None:
    rows = toy_data(6)[["note", "facts"]]
    page = write_report(tmp_path / "r.html", fitted, rows).read_text("utf-8")
    assert '<span class="absent">missing</span>' in page


def test_questions_cover_every_subset_of_few_and_a_bounded_number_of_many() -> None:
    few = questions("abcd")
    assert len(few) == 2**4 - 2
    assert len({given for given, _ in few}) == len(few)
    assert all(set(given) | set(wanted) == set("abcd") for given, wanted in few)
    assert len(questions("abcdefgh")) == 16
    assert questions("a") == []


def test_it_says_which_questions_of_many_are_shown() -> None:
    assert which_shown("abcd") == ""
    assert "all but one" in which_shown("abcde")


def test_settings_are_shown_without_noise(fitted: MultimodalModel) -> None:
    model = MultimodalModel(recipe="mvtcae", learning_rate=0.1 / 3)
    model.model_ = fitted.model_
    shown = dict(describe_making(model, [])["settings"])
    assert not {"None", "auto"} & set(shown.values())
    assert shown["alpha"] == "0.8333"
    assert shown["learning_rate"] == "0.03333"
    assert shown["latent_dim"] == "32"


def test_epochs_are_whole_numbers_on_the_axis(fitted: MultimodalModel) -> None:
    figure = draw_training(fitted.result_.history, fitted.result_.best_epoch)
    assert fitted.result_.history
    for axis in figure.axes:
        assert all(float(tick).is_integer() for tick in axis.get_xticks())
