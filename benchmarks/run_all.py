"""Runs every benchmark of this folder and keeps its output in benchmarks/results/."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = (
    "import_time.py",
    "paper.py",
    "parity.py",
    "loading.py",
    "se_overhead.py",
    "training_parts.py",
    "exporters.py",
    "peers.py",
    "rewrites.py",
    "scaling.py",
    "cold_start.py",
    "export_cost.py",
)


def main() -> None:
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    for script in SCRIPTS:
        print(f"{script} …", flush=True)
        done = subprocess.run([sys.executable, HERE / script], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        (results / f"{Path(script).stem}.txt").write_text(done.stdout)
        print(done.stdout)


if __name__ == "__main__":
    main()
