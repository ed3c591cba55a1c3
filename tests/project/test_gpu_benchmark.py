"""The GPU benchmark also runs on a CPU."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs/benchmarks/gpu.py"


@pytest.mark.slow
@pytest.mark.parametrize("part", ["kinds", "uses", "tensors", "steps", "many"])
def test_part_of_the_benchmark_runs_on_a_cpu(part):
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--short", "--parts", part]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert f"== {part}" in done.stdout
