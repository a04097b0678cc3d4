"""What a coherence says: every subset and target, the averages of both conventions, and doubts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from polymodal.evaluate.result import Estimate, finite

if TYPE_CHECKING:
    import pandas as pd

    from polymodal.evaluate.fidelity_result import Fidelity


@dataclass(frozen=True)
class Pair:
    """How often a target decoded from a subset shows the row's class.

    Arguments:
        given: The modalities given.
        target: What was decoded.
        accuracy: Share of rows whose class was right.
        macro: Mean over classes of the share that was right, as some libraries report it.
        n: Rows judged: those that have all of ``given`` and a label.
    """

    given: tuple[str, ...]
    target: str
    accuracy: Estimate
    macro: float
    n: int

    @property
    def own(self) -> bool:
        """Whether the target was given: a reconstruction, which is no coherence."""
        return self.target in self.given


@dataclass(frozen=True)
class Conditional:
    """Coherence of what is decoded given some modalities, with that of the row.

    Arguments:
        pairs: Every subset and target that was judged, reconstructions too.
        by_inputs: k -> the mean over the targets that were not given of each subset of k
            modalities, then over the subsets: convention (i).
        single_source: The mean over all pairs of one modality given and another decoded:
            convention (ii), which is ``by_inputs[1]``.
        reconstruction: k -> the same mean over the targets that were given; no coherence.
        synergy: Target -> its accuracy decoded from all modalities, itself among them.
        synergy_mean: Their mean.
        caps: Target -> the judge's accuracy on the real values of the rows judged.
        constant: Share of the most frequent class: what one class for all would get.
    """

    pairs: list[Pair]
    by_inputs: dict[int, Estimate]
    single_source: Estimate
    reconstruction: dict[int, Estimate]
    synergy: dict[str, Estimate]
    synergy_mean: Estimate
    caps: dict[str, Estimate]
    constant: float

    def table(self, *, own: bool = True) -> pd.DataFrame:
        """A line a subset and target; with ``own`` the reconstructions too."""
        import pandas as pd

        lines = [
            {
                "given": " + ".join(pair.given),
                "inputs": len(pair.given),
                "target": pair.target,
                "own": pair.own,
                "accuracy": pair.accuracy.value,
                "low": pair.accuracy.low,
                "high": pair.accuracy.high,
                "macro": pair.macro,
                "cap": self.caps[pair.target].value if pair.target in self.caps else math.nan,
                "n": pair.n,
            }
            for pair in self.pairs
            if own or not pair.own
        ]
        columns = ["given", "inputs", "target", "own", "accuracy", "low", "high", "macro"]
        return pd.DataFrame(lines, columns=[*columns, "cap", "n"])

    def matrix(self) -> pd.DataFrame:
        """Accuracy of each target (columns) from each single source (rows)."""
        single = self.table().query("inputs == 1")
        names = list(dict.fromkeys([*single["given"], *single["target"]]))
        wide = single.pivot(index="given", columns="target", values="accuracy")
        return wide.reindex(
            index=[n for n in names if n in wide.index],
            columns=[n for n in names if n in wide.columns],
        )

    def summary(self) -> pd.DataFrame:
        """A line an average: its name, value and interval."""
        import pandas as pd

        named = {f"conditional, {_inputs(k)}": one for k, one in self.by_inputs.items()}
        named["conditional, single source"] = self.single_source
        named |= {f"synergy, {name}": one for name, one in self.synergy.items()}
        named["synergy, mean"] = self.synergy_mean
        named |= {f"reconstruction, {_inputs(k)}": one for k, one in self.reconstruction.items()}
        named |= {f"judge's cap, {name}": one for name, one in self.caps.items()}
        lines = [
            {"what": name, "value": one.value, "low": one.low, "high": one.high}
            for name, one in named.items()
        ]
        return pd.DataFrame(lines, columns=["what", "value", "low", "high"])

    def __str__(self) -> str:
        said = [
            f"Given {_inputs(k)}{' (single source)' * (k == 1)}, {one} of what was decoded for "
            "the others showed the row's class."
            for k, one in self.by_inputs.items()
        ]
        if self.synergy:
            said.append(
                f"Decoded from everything, {self.synergy_mean} of the modalities showed it "
                "(synergy: the modality itself was among what was given)."
            )
        if self.caps:
            caps = ", ".join(f"{name} {one.value:.3f}" for name, one in self.caps.items())
            said.append(f"The judges tell real values so often, which caps all of this: {caps}.")
        said.append(f"One class for every row would get {self.constant:.3f}.")
        return "\n".join(said)


@dataclass(frozen=True)
class Joint:
    """How often all modalities of a new row show one class.

    Arguments:
        agreement: Share of rows whose modalities all show the same class.
        chance: How often they would if they had nothing to do with each other but these classes.
        histograms: Modality -> share of each class among what was generated.
        entropy: Modality -> entropy of its shares over that of equal ones, in [0, 1].
        distance: Modality -> total variation between its shares and those of real rows.
        reference: Shares of the classes in real rows.
        n: Rows generated.
        warnings: Modalities that show little but one class, a sentence each.
    """

    agreement: Estimate
    chance: float
    histograms: dict[str, list[float]]
    entropy: dict[str, float]
    distance: dict[str, float]
    reference: list[float]
    n: int
    warnings: list[str] = field(default_factory=list)

    def table(self, classes: Sequence[str] | None = None) -> pd.DataFrame:
        """Class shares: a line a class, a column a modality, and one of the real rows."""
        import pandas as pd

        names = list(classes or map(str, range(len(self.reference))))
        frame = pd.DataFrame({**self.histograms, "(real rows)": self.reference}, index=names)
        return frame.rename_axis("class")

    def __str__(self) -> str:
        spread = ", ".join(
            f"{name} {self.distance[name]:.2f} ({self.entropy[name]:.2f})" for name in self.entropy
        )
        said = [
            f"In {self.agreement} of {self.n:,} new rows all modalities showed one class; with "
            f"the same class shares and nothing in common it would be {self.chance:.3g}.",
            f"Distance of the class shares from those of real rows (and evenness): {spread}.",
        ]
        return "\n".join([*said, *self.warnings])


@dataclass(frozen=True)
class Coherence:
    """Conditional and joint coherence of a model.

    Arguments:
        conditional: Given some modalities; None where the family does not offer it.
        joint: Of new rows; None likewise.
        classes: Names of the classes.
        judges: Modality -> the judge's accuracy on rows held out from its training.
        notes: What was not judged and why, a sentence each.
        fidelity: How near to real what was decoded is; None where it was not asked.
    """

    conditional: Conditional | None
    joint: Joint | None
    classes: tuple[str, ...]
    judges: dict[str, float]
    notes: list[str] = field(default_factory=list)
    fidelity: Fidelity | None = None

    def table(self) -> pd.DataFrame:
        """All averages, a line each: what, value, low, high."""
        import pandas as pd

        frames = []
        if self.conditional is not None:
            frames.append(self.conditional.summary())
        if self.joint is not None:
            one = self.joint.agreement
            lines = [
                {"what": "joint", "value": one.value, "low": one.low, "high": one.high},
                {"what": "joint, by chance", "value": self.joint.chance},
            ]
            frames.append(pd.DataFrame(lines, columns=["what", "value", "low", "high"]))
        if not frames:
            return pd.DataFrame(columns=["what", "value", "low", "high"])
        return pd.concat(frames, ignore_index=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: numbers that are not finite become None."""
        return finite(asdict(self))

    def to_json(self) -> str:
        """The whole result as one JSON document."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def __str__(self) -> str:
        known = (self.conditional, self.joint, self.fidelity)
        parts = [str(part) for part in known if part is not None]
        return "\n\n".join([*parts, *self.notes])


def _inputs(k: int) -> str:
    """``1 input``, ``2 inputs``."""
    return f"{k} input{'s' * (k != 1)}"
