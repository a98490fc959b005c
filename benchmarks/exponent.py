"""How often the class of a cost that grows is told right: `python -m benchmarks.exponent` (about a minute).

Costs of a known class over 60 windows, with a fixed part, and noise of 2 % or 5 % of the cost that remembers itself
(AR(1)) or not. `grows` is by how much the cost does over the soak. Right: only the true class is left (O(n) and
O(n log n) together count as right for both); open: the true class is among several; none: no growth that matters and
goes on was seen, so no class is named; wrong: the true class is not among those named, or no class is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from soak.core.metrics import TREND_WINDOWS
from soak.judge.causes_time import GATES
from soak.judge.stats.exponent import exponent
from soak.judge.stats.trend import trend

Floats = npt.NDArray[np.float64]
SHAPES: dict[str, Callable[[Floats], Floats]] = {
    "O(1)": np.zeros_like,
    "O(log n)": np.log,
    "O(n)": lambda n: n,
    "O(n log n)": lambda n: n * np.log(n),
    "O(n^2)": lambda n: n * n,
}
LINEAR = {"O(n)", "O(n log n)"}
WINDOWS, SIZE, WARM = 60, 13_000.0, 1_000.0
FIXED_S = 0.004


def costs(name: str, growth: float, noise: float, rho: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Sizes, and costs (s) of a class that grow by a factor of 1 + `growth` in all."""
    n = np.linspace(WARM, SIZE, WINDOWS)
    shape = SHAPES[name](n)
    span = float(np.ptp(shape))
    level = FIXED_S * (1 + (growth * (shape - shape[0]) / span if span else 0.0 * n))
    wave = np.empty(WINDOWS)
    wave[0] = rng.standard_normal()
    for i in range(1, WINDOWS):
        wave[i] = rho * wave[i - 1] + np.sqrt(1 - rho * rho) * rng.standard_normal()
    return n, level * (1 + noise * wave)


def told(n: Floats, z: Floats) -> tuple[str, ...]:
    """The classes that are left, by the very steps of the judge: growth that matters, then its exponent."""
    fitted = trend(n / 100.0, z)
    assert fitted is not None
    assert len(z) >= TREND_WINDOWS
    if GATES["p50"].severity(fitted) is None:
        return ("O(1)",)
    found = exponent(n, z)
    return found.classes if found is not None else ()


def right(name: str, classes: tuple[str, ...]) -> str:
    """Whether the true class alone is left, is among several, none is named, or only others are."""
    if name not in classes:
        return "none" if classes == ("O(1)",) else "wrong"
    alone = set(classes) == {name} or (name in LINEAR and set(classes) <= LINEAR)
    return "right" if alone else "open"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="runs of each kind, default: %(default)s")
    seeds = parser.parse_args().seeds
    rows = []
    for name in SHAPES:
        for growth in (0.5, 2.0) if name != "O(1)" else (0.0,):
            for noise, rho in ((0.02, 0.0), (0.02, 0.6), (0.05, 0.0), (0.05, 0.6)):
                out = [
                    right(name, told(*costs(name, growth, noise, rho, np.random.default_rng(seed))))
                    for seed in range(seeds)
                ]
                shares = [f"{100 * out.count(kind) / seeds:.0f} %" for kind in ("right", "open", "none", "wrong")]
                rows.append([name, f"{growth:+.0%}", f"{noise:.0%}", f"{rho:g}", *shares])
    for row in (["class", "grows", "noise", "rho", "right", "open", "none", "wrong"], ["---"] * 8, *rows):
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
