"""Measures what `import keras_se` adds to `import keras`, in fresh processes.

python benchmarks/import_time.py
"""

import subprocess
import sys

import click
import numpy as np

PROGRAM = """
import time
import keras
start = time.perf_counter()
import keras_se
print(time.perf_counter() - start)
"""


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
def main(rounds: int) -> None:
    times = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    print(
        f"import keras_se after import keras: {np.median(times):.3f} s (median of {rounds}; {max(times):.3f} s at most)"
    )


if __name__ == "__main__":
    main()
