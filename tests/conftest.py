"""What every test stands on: one thread, the same draws each run, no window, no accelerator."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house",
    deadline=None,  # no test depends on the clock
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an accelerator where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an accelerator"))


@pytest.fixture(autouse=True)
def _same_draws_each_run() -> None:
    """A test's draws depend on the test alone, not on which tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _default_dtype_is_left_alone() -> object:
    """A test that changes the process's default dtype would change its neighbours."""
    before = torch.get_default_dtype()
    yield
    after = torch.get_default_dtype()
    torch.set_default_dtype(before)
    assert after == before, f"the test left the default dtype at {after}"
