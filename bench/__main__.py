"""All figures, one bench after the other: `python -m bench [NAME...]`.

Each runs in a process of its own, so that none warms up another or adds to its memory.
"""

import subprocess
import sys

BENCHES = ("upload", "preprocess", "backtest", "serve", "start", "cost_inputs")


def main(chosen: list[str]) -> int:
    """Run the benches that are named, else all; gives the number of those that failed."""
    unknown = set(chosen) - set(BENCHES)
    if unknown:
        sys.exit(f"expected names among {', '.join(BENCHES)}, got {', '.join(sorted(unknown))}")
    failed = 0
    for name in chosen or BENCHES:
        print(f"\n== {name} ==", flush=True)
        done = subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False)
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
