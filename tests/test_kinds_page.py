"""The page of the runs of each kind says with which settings they were made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_page_is_what_the_runs_make_and_tells_their_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import kinds_page  # pyright: ignore[reportMissingImports]

    monkeypatch.delitem(sys.modules, "kinds_page")
    monkeypatch.setattr(kinds_page, "PAGE", tmp_path / "kinds.md")
    kinds_page.write_page()
    page = (tmp_path / "kinds.md").read_text()
    assert page == (ROOT / "docs" / "kinds.md").read_text()
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}
    assert list(sections) == list(kinds_page.SETS.values())
    for name, word in {"adrenal": "latent_dim=8", "breast": "latent_dim=8", "tags": "min_count=10",
                       "speech": "2,000 of 10,000", "spikes": "75 epochs"}.items():  # fmt: skip
        assert word in sections[kinds_page.SETS[name]].partition("```")[0]
