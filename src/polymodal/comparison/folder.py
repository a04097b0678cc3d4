"""The folder of a comparison: a file a finished fit, so that it goes on where it was stopped.

``settings.json`` says what is compared; ``mopoe-0.pm`` is a fitted model and ``mopoe-0.fit`` what
its examination found; ``mopoe-0/`` is there only while that fit is under way. Every file is
written whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polymodal.comparison.identity import as_kept, say_difference
from polymodal.evaluate.sheet import Sheet
from polymodal.files import FileError, FileFormat
from polymodal.model_file import networks_of
from polymodal.recipes.registry import RECIPES
from polymodal.replacing import write_whole
from polymodal.training.checkpoint import FILE_NAME
from polymodal.training.result import Status

FIT_FILE = FileFormat(
    "polymodal comparison fit", 1, "Delete it: the fit is then made again, with the same result."
)
SETTINGS_NAME = "settings.json"
IDLE = "networks.image_activation"
"""None where the data have no pictures."""
MEASURES = "measures"
"""What ``identify`` says of them."""
_FAILED = ".failed.txt"
_VERSION = 1


@dataclass(frozen=True)
class Cost:
    """What a fit took.

    Arguments:
        cpu: Seconds of processor time, of all threads together.
        wall: Seconds on the clock.
    """

    cpu: float = 0.0
    wall: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu + other.cpu, self.wall + other.wall)


@dataclass(frozen=True)
class Finished:
    """One fit, done and examined.

    Arguments:
        recipe: The recipe; for the simple methods ``"simple"``.
        seed: The seed.
        status: How training ended.
        reason: The same in a sentence.
        epochs: Epochs done.
        cost: What it took.
        sheets: What the examination found: of a recipe one sheet, by its name.
    """

    recipe: str
    seed: int
    status: Status
    reason: str
    epochs: int
    cost: Cost
    sheets: Mapping[str, Sheet]


class Folder:
    """The files of a comparison.

    Arguments:
        path: The folder; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def claim(self, shared: Mapping[str, Any], recipes: Mapping[str, Any]) -> None:
        """Say what is compared here.

        Further recipes and seeds may join those of a folder.

        Arguments:
            shared: What all fits share.
            recipes: Recipe -> its settings.

        Raises:
            FileError: As by ``check``.
        """
        known = {**self.check(shared, recipes), **recipes}
        said = {"format": "polymodal comparison", "version": _VERSION}
        write_whole(
            self.path / SETTINGS_NAME,
            json.dumps({**said, "shared": shared, "recipes": known}, indent=1),
        )

    def check(self, shared: Mapping[str, Any], recipes: Mapping[str, Any]) -> dict[str, Any]:
        """See that nothing else is compared here.

        Arguments:
            shared: What all fits share.
            recipes: Recipe -> its settings.

        Returns:
            The recipes that are here, with their settings.

        Raises:
            FileError: If the folder has a comparison with other settings or of other data, or
                files that are none of a comparison.
        """
        file = self.path / SETTINGS_NAME
        # Through JSON, so that tuples compare equal to the lists that were read.
        shared, recipes = json.loads(json.dumps(shared)), json.loads(json.dumps(recipes))
        if file.exists():
            before = self._settings(file)
            was, now = before["shared"], _one_by_one(shared)
            if now[IDLE] is None:
                was.pop(IDLE)
                now.pop(IDLE)
            self._check_same(was, now, "")
            for name, settings in recipes.items():
                was = before["recipes"].get(name, settings)
                self._check_same(was, settings, f" of recipe {name}")
            return before["recipes"]
        if self.path.is_dir() and any(self.path.iterdir()):
            raise FileError(
                f"{self.path}: the folder holds other files and no comparison; name an empty or "
                "new folder."
            )
        return {}

    def _settings(self, file: Path) -> dict[str, Any]:
        try:
            found = json.loads(file.read_text("utf-8"))
            if found["format"] != "polymodal comparison" or found["version"] != _VERSION:
                raise KeyError("format")
            shared = _one_by_one(dict(found["shared"]))
            if MEASURES in shared:
                shared[MEASURES] = as_kept(shared[MEASURES])
            return {"shared": shared, "recipes": dict(found["recipes"])}
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{file}: not the settings of a comparison of this version of polymodal; name "
                "another folder."
            ) from error

    def _check_same(self, was: Mapping[str, Any], now: Mapping[str, Any], whose: str) -> None:
        for name in [*now, *(one for one in was if one not in now)]:
            if was.get(name) == now.get(name):
                continue
            said = f"with {name}={_short(was.get(name))}{whose}, now {_short(now.get(name))}"
            if name == "data":
                said = "on other rows"
            elif name == MEASURES and not whose:
                difference = say_difference(was.get(name, 0), now.get(name, []))
                if difference is None:
                    continue
                said = f"with {difference}"
            raise FileError(
                f"{self.path}: the folder holds a comparison {said}; methods can be compared only "
                "where all that is the same. Use those settings, or another folder."
            )

    def model_file(self, recipe: str, seed: int) -> Path:
        """Where a fitted model is kept."""
        return self.path / f"{recipe}-{seed}.pm"

    def run_dir(self, recipe: str, seed: int) -> Path:
        """Where a fit under way keeps its checkpoints."""
        return self.path / f"{recipe}-{seed}"

    def finished(self, recipe: str, seed: int) -> Finished | None:
        """A fit that is done; None where it is not.

        Raises:
            FileError: If its file is damaged.
        """
        file = self._fit_file(recipe, seed)
        if not file.exists():
            return None
        facts, tensors = FIT_FILE.read(file)
        try:
            sheets = {}
            for name, held in facts["sheets"].items():
                own = {
                    key.removeprefix(f"{name}/"): value
                    for key, value in tensors.items()
                    if key.startswith(f"{name}/")
                }
                sheets[name] = Sheet.unpack(held, own)
            return Finished(
                recipe,
                seed,
                facts["status"],
                str(facts["reason"]),
                int(facts["epochs"]),
                Cost(**facts["cost"]),
                sheets,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileError(
                f"{file}: its parts do not fit together ({error}). {FIT_FILE.remedy}"
            ) from error

    def others(self, asked: Collection[tuple[str, int]]) -> list[Finished]:
        """Fits that are done, beside those that are asked for, by recipe and seed.

        Arguments:
            asked: Recipe and seed of the others.

        Raises:
            FileError: If the file of one is damaged.
        """
        found = []
        for file in self.path.glob("*.fit"):
            recipe, _, seed = file.stem.rpartition("-")
            if recipe in RECIPES and seed.isdecimal() and (recipe, int(seed)) not in asked:
                found.append((recipe, int(seed)))
        fits = [self.finished(recipe, seed) for recipe, seed in sorted(found)]
        return [one for one in fits if one is not None]

    def keep(self, done: Finished) -> None:
        """Write a fit that is done and remove what it needed while it was not."""
        facts: dict[str, Any] = {
            "recipe": done.recipe,
            "seed": done.seed,
            "status": done.status,
            "reason": done.reason,
            "epochs": done.epochs,
            "cost": asdict(done.cost),
            "sheets": {},
        }
        tensors = {}
        for name, sheet in done.sheets.items():
            facts["sheets"][name], own = sheet.pack()
            tensors |= {f"{name}/{key}": value for key, value in own.items()}
        FIT_FILE.write(self._fit_file(done.recipe, done.seed), facts, tensors)
        shutil.rmtree(self.run_dir(done.recipe, done.seed), ignore_errors=True)
        # The second name is of folders from before seeds failed one by one.
        for stale in (f"{done.recipe}-{done.seed}", done.recipe):
            (self.path / f"{stale}{_FAILED}").unlink(missing_ok=True)

    def failed(self, recipe: str, seed: int, trace: str) -> None:
        """Keep why a fit failed, for whoever wants to mend it, and its checkpoint if any."""
        write_whole(self.path / f"{recipe}-{seed}{_FAILED}", trace)
        run_dir = self.run_dir(recipe, seed)
        if not (run_dir / FILE_NAME).exists():
            shutil.rmtree(run_dir, ignore_errors=True)

    def _fit_file(self, recipe: str, seed: int) -> Path:
        return self.path / f"{recipe}-{seed}.fit"


def _one_by_one(shared: Mapping[str, Any]) -> dict[str, Any]:
    """What fits share, each setting of the networks by itself and as on the day of the folder."""
    rest = {name: value for name, value in shared.items() if name != "networks"}
    return rest | {f"networks.{name}": value for name, value in networks_of(shared).items()}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
