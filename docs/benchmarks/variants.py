"""Compare every variant on its task, with default parameters, with a textbook network trained for the same time.

    python docs/benchmarks/variants.py [--parts denoising ...] [--seeds 0 1 2]

The textbook networks are in `_practitioner.py`. Each part is a file of `_variants/`, whose docstring describes it.
"""

import argparse
import importlib
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # both are timed on one thread

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
    """Run the parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    for part in arguments.parts:
        print(part, flush=True)
        importlib.import_module(f"_variants.{part}").main(arguments.seeds)


if __name__ == "__main__":
    main()
