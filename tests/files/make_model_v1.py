"""Write ``model_v1.pm`` and what it says of fixed rows, ``model_v1.json``: once a format version.

The two are committed and never made again: ``tests/test_files.py`` holds that every later version
of the library reads the file and gives these numbers.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

import polymodal as pm
from polymodal.objectives.schedules import LinearWarmup

HERE = Path(__file__).parent
FILE, ANSWERS = HERE / "model_v1.pm", HERE / "model_v1.json"


def rows(n_rows: int = 60) -> pm.MultimodalData:
    """Rows of every kind of modality, by arithmetic alone, so that they are the same for ever."""
    place = np.arange(n_rows)
    kind = place * 7 % 3
    table = pd.DataFrame(
        {
            "weight": kind * 2.0 + place * 13 % 10 / 10,
            "price": np.exp(kind + place * 5 % 7 / 3.0),
            "visits": 3 * kind + place * 11 % 5,
            "colour": np.array(["red", "green", "blue"])[kind],
            "grade": pd.Categorical(
                np.array(["low", "mid", "high"])[(kind + (place % 5 == 0)) % 3],
                ["low", "mid", "high"],
                ordered=True,
            ),
        }
    )
    table.loc[place % 6 == 1, "weight"] = np.nan
    table.loc[place % 7 == 2, "colour"] = None
    grid = np.arange(16).reshape(4, 4)
    words = np.array(["a red one here", "some green two there", "big blue three here"], object)
    arrays = {
        "table": table,
        "photo": ((grid * (kind + 1)[:, None, None] * 4 + place[:, None, None]) % 256).astype(
            np.uint8
        ),
        "a.b": np.stack([kind - 1.0, place * 3 % 11 / 5.0, np.ones(n_rows)], 1),
        "caption": words[kind] + np.array([" today", " now", ""], object)[place % 3],
    }
    present = {
        "photo": place % 4 != 1,
        "a.b": place % 5 != 3,
        "caption": place % 3 != 2,
    }
    kinds = {"caption": "text"}
    return pm.from_arrays(arrays, present=present, kinds=kinds)


def answers(model: pm.MultimodalModel) -> dict[str, object]:
    """What the model says of the first rows, free of chance but for the score."""
    some = rows()[:8]
    filled = model.impute(some, draws=1000, seed=0)
    table = filled.mean["table"]
    return {
        "embed": model.embed(some, "all").tolist(),
        "score": model.score(some, samples=20_000, seed=0).tolist(),
        "prior mean": {
            name: [round(float(v), 6) for v in np.ravel(value)[:6]]
            for name, value in _decoded_at_zero(model).items()
        },
        "filled": {
            "weight": table["weight"].tolist(),
            "photo": filled.mean["photo"].mean((1, 2)).tolist(),
            "a.b": filled.mean["a.b"].tolist(),
        },
        "kept": {
            "weight": table["weight"][[0, 2, 3]].tolist(),
            "colour": table["colour"][[0, 1, 3]].tolist(),
            "photo": float(filled.mean["photo"][[0, 2, 3]].sum()),
        },
        "parameters": repr(model),
        "status": model.result_.status,
        "held out": model.held_out_.tolist(),
        "schema": model.schema_.to_dict(),
    }


def _decoded_at_zero(model: pm.MultimodalModel) -> dict[str, np.ndarray]:
    import torch

    with torch.no_grad():
        decoded = model.model_.decode(torch.zeros(1, model.model_.layout.dim), model.model_.names)
    return {name: p.statistics.numpy() for name, p in decoded.items() if p.averages}


def main() -> None:
    model = pm.MultimodalModel(
        recipe="mvae",
        latent_dim=3,
        private_dim=1,
        epochs=4,
        seed=1,
        progress=False,
        settings={"beta": LinearWarmup(20), "subsets": 1},
        networks=pm.NetworkSettings(hidden=(8,), text_width=8),
    ).fit(rows())
    model.save(FILE)
    ANSWERS.write_text(json.dumps(answers(model), indent=1) + "\n")
    print(FILE, FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
