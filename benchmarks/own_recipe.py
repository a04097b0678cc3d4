#!/usr/bin/env python
"""Does the recipe ``polymodal`` win? ``pm.compare`` on real sets, all defaults, written to a page.

    python benchmarks/own_recipe.py --folder DIR                      # goes on where it stopped
    python benchmarks/own_recipe.py --folder DIR --sets mfeat digits  # some sets
    python benchmarks/own_recipe.py --folder DIR --data DATA          # and the sets kept in DATA

*penguins*, *tcga_acc*, *mfeat* and *fashion* are bundled, *digits* are scikit-learn's pictures and
their class, *polydigits* and *handsign* 2,000 rows of pictures.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import polymodal as pm
from polymodal.comparison import Comparison

RECIPES = ("polymodal", "mopoe", "mvtcae", "jmvae")
PAGE = Path(__file__).parent.parent / "docs" / "why" / "default-recipe.md"
ROWS = 2_000
OWN, LEAST_WINS = "polymodal", 3
EPOCHS = {"handsign": 60, "polydigits": 40, "fashion": 40}
"""Fewer than the default where an epoch takes seconds."""
SEEDS = {"handsign": 1, "polydigits": 1}
"""At most so many, where a fit takes minutes."""


def digits() -> pm.MultimodalData:
    """scikit-learn's 8x8 pictures and their class."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    return pm.from_arrays(
        {"image": (pictures.reshape(-1, 8, 8) / 16).astype("float32"), "label": labels},
        kinds={"image": "image", "label": "category"},
    )


def sets(data: Path | None) -> dict[str, Callable[[], pm.MultimodalData]]:
    """Name -> what loads it."""
    found: dict[str, Callable[[], pm.MultimodalData]] = {
        name: (lambda name=name: pm.load_bundled(name)) for name in ("penguins", "tcga_acc")
    }
    found |= {"digits": digits, "mfeat": lambda: pm.load_bundled("mfeat")}
    if data is not None:
        found |= {
            "handsign": lambda: (
                pm.datasets.mnist_handsign(data / "mnist_handsign.npz", "train", n=ROWS).data
            ),
            "polydigits": lambda: (
                pm.datasets.polydigits(data / "polydigits.npz", "train", n=ROWS).data
            ),
        }
    return found | {"fashion": lambda: pm.load_bundled("fashion")}


def table(found: Comparison) -> str:
    """A line a method, the simple ones last."""
    lines = [
        "| method | rank | skill | log p of what was hidden | CPU s a fit |",
        "|" + " --- |" * 5,
    ]
    for row in sorted(found.rows, key=lambda row: (row.simple, row.rank or 99)):
        skill = "" if row.skill is None else f"{row.skill.value:.3f}"
        if row.skill is not None:
            skill += f" [{row.skill.low:.3f}, {row.skill.high:.3f}]"
        log_p = "" if row.log_likelihood is None else f"{row.log_likelihood.value:.3f}"
        cpu = "" if row.cpu_seconds is None else f"{row.cpu_seconds:.0f}"
        name = row.method if row.simple else f"`{row.method}`"
        lines.append(f"| {name} | {row.rank or ''} | {skill} | {log_p} | {cpu} |")
    return "\n".join(lines)


def main() -> None:
    """Compare on every set asked for, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where fits are kept")
    parser.add_argument("--data", type=Path, help="the folder of polydigits.npz")
    parser.add_argument("--sets", nargs="*", help="some of the sets")
    parser.add_argument("--recipes", nargs="*", default=RECIPES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write docs/why/default-recipe.md")
    given = parser.parse_args()
    torch.set_num_threads(1)
    parts: list[str] = []
    ran: dict[str, Comparison] = {}
    for name, load in sets(given.data).items():
        if given.sets and name not in given.sets:
            continue
        found = pm.compare(
            load(),
            given.recipes,
            min(given.seeds, SEEDS.get(name, given.seeds)),
            folder=given.folder / name,
            epochs=EPOCHS.get(name),
            device="cpu",
        )
        print(f"\n{name}\n{found}", flush=True)
        parts += [f"## {name}", table(found)]
        ran[name] = found
    if given.write:
        PAGE.write_text("\n\n".join([*head(ran, given.seeds), *parts]) + "\n")


def wins(found: Comparison) -> tuple[bool, bool]:
    """Whether the library's own has the highest skill of the recipes, and whether beyond noise."""
    rows = {row.method: row for row in found.rows if row.skill and not row.simple}
    own = rows.pop(OWN)
    highest = all(own.skill.value > row.skill.value for row in rows.values())
    return highest, highest and all((own.rank or 0) < (row.rank or 0) for row in rows.values())


def head(ran: dict[str, Comparison], seeds: int) -> list[str]:
    """What the page says before its tables."""
    won = {name: wins(found) for name, found in ran.items()}
    highest = [name for name, (first, _) in won.items() if first]
    surely = [name for name, (_, sure) in won.items() if sure]
    fewer = "".join(f", {SEEDS[k]} for {k}" for k in ran if SEEDS.get(k, seeds) < seeds)
    return [
        "# The recipe that is the default",
        f"All defaults{''.join(f', {EPOCHS[k]} epochs for {k}' for k in ran if k in EPOCHS)}; "
        f"{seeds} seeds{fewer}; measured on {date.today().isoformat()} by "
        f"`python benchmarks/own_recipe.py --folder DIR --sets {' '.join(ran)} --write`. "
        "*skill*: 0 is as good as the best simple "
        "method for every single column or modality, +0.10 is 10 % less error, with its 95 % "
        "interval over test rows and seeds; methods that cannot be told apart share a rank. *log "
        "p*: nats a row and question.",
        f"`{OWN}` has the highest skill of the recipes on {len(highest)} of {len(ran)} sets: "
        f"{', '.join(highest) or 'none'}; beyond noise on {', '.join(surely) or 'none'}. A recipe "
        f"of the library's own is the default where it wins on {LEAST_WINS} sets at least. Skill "
        "is the error of values; whether what is made shows the right class, and looks real, is "
        "another question, which [fidelity](../fidelity.md) answers.",
    ]


if __name__ == "__main__":
    main()
