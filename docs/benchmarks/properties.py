"""Test properties of all estimators for arbitrary tables and parameters, with two hundred examples each.

    python docs/benchmarks/properties.py

Runs tests/test_properties.py with the hypothesis profile "thorough", and prints a line for each property. An example is
a table of up to 60 samples and 8 features with an estimator; examples to which a property does not apply are drawn
again and don't count.
"""

import os
import re
import sys
from pathlib import Path

os.environ["HYPOTHESIS_PROFILE"] = "thorough"  # tests/conftest.py reads it

import pytest

TESTS = Path(__file__).parents[2] / "tests" / "test_properties.py"


class Table:
    """Pytest plugin that records the number of examples and failures of each test."""

    def __init__(self):
        self.rows = []

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config):
        """Suppress the report of pytest."""
        config.pluginmanager.unregister(name="terminalreporter")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """Record a test after it ran."""
        report = yield
        if call.when == "call":
            found = re.findall(r"(\d+) passing, (\d+) failing", getattr(item, "hypothesis_statistics", ""))
            passing, failing = (sum(map(int, counts)) for counts in zip(*found, strict=True)) if found else (0, 0)
            failing = max(failing, int(report.failed))
            self.rows.append((item.name, passing + failing, failing))
            print(f"{item.name.removeprefix('test_').replace('_', ' '):72s}{passing + failing:10d}{failing:10d}")
            if report.failed:
                print(report.longreprtext, file=sys.stderr)
        return report


def main():
    """Print the table and its sums."""
    print(f"{'property':72s}{'examples':>10s}{'failures':>10s}")
    table = Table()
    code = pytest.main([str(TESTS), "-p", "no:randomly", "-p", "no:cacheprovider"], plugins=[table])
    examples, failures = (sum(row[i] for row in table.rows) for i in (1, 2))
    print(f"{f'{len(table.rows)} properties':72s}{examples:10d}{failures:10d}")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
