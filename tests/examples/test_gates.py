"""The gates example, shortened: what it writes."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.paths import EXAMPLES

EXAMPLE = EXAMPLES / "gates.py"


@pytest.mark.slow
def test_a_short_run_writes_every_picture(tmp_path: Path) -> None:
    options = ["--images", "130", "--held-out", "52", "--epochs", "1", "--output", tmp_path]
    done = subprocess.run([sys.executable, EXAMPLE, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of the 52 held-out images are right" in done.stdout
    assert "stage3_block1_se/spatial" in done.stdout
    pictures = {"means.png", "classes.png", "spread.png", "saturation.png", "overlay.png"}
    assert {path.name for path in tmp_path.iterdir()} == {*pictures, "letters_scse.keras"}
    for name in pictures:
        with Image.open(tmp_path / name) as image:
            assert image.width > 600
        assert (tmp_path / name).stat().st_size < 150_000
