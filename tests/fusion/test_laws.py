"""Every fusion rule obeys the laws."""

from __future__ import annotations

import pytest
from tests.helpers import DRAWN_FUSION, FUSIONS, names_of

from polymodal.fusion.experts import Fusion
from polymodal.testing.fusion import check_fusion

# A rule that draws its strata gives other draws to other orders and other neighbours, and may
# leave an expert out of a draw; in expectation it obeys, which test_mopoe.py holds.
ONLY_IN_EXPECTATION = (
    "check_order_is_free",
    "check_rows_are_independent",
    "check_gradient_reaches_present_experts_only",
)


@pytest.mark.parametrize("fusion", FUSIONS, ids=names_of(FUSIONS))
def test_every_fusion_obeys_the_laws(fusion: Fusion) -> None:
    for _, law in check_fusion(fusion):
        law()


def test_drawn_strata_obey_the_laws_that_hold_draw_by_draw() -> None:
    for name, law in check_fusion(DRAWN_FUSION):
        if not name.startswith(ONLY_IN_EXPECTATION):
            law()
