"""Where the repository and its programs are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS, EXAMPLES, BENCHMARKS = ROOT / "tests", ROOT / "examples", ROOT / "benchmarks"
