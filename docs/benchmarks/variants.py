"""Every variant at what it is for, with default parameters, against the textbook network at the same seconds.

    python docs/benchmarks/variants.py [--parts denoising ...] [--seeds 0 1 2]

Rivals are in `_practitioner.py`, and each part is a file of `_variants/`, whose docstring says what is measured.
"""

import argparse
import importlib
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the seconds of both are of one thread

PARTS = (
    "contractive",
    "convolutional",
    "denoising",
    "detector",
    "plain",
    "sequences",
    "sparse",
    "variational",
)


def main():
    """Print the parts, one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    for part in arguments.parts:
        print(part, flush=True)
        importlib.import_module(f"_variants.{part}").main(arguments.seeds)


if __name__ == "__main__":
    main()
