"""What a series does beside a trend: it switches between two states, it goes in waves.

Each is a column of the regression, so that the trend is what is left when it is accounted for. Noise that
wanders must not pass for structure: a column has to earn its place by the BIC of the innovations.
"""

from __future__ import annotations

import numpy as np

from soak.judge.stats.regress import Floats, fit, stack

_APART = 4.0
"""Standard deviations between two states, each within its own noise."""
_LEAST_VISIT = 3
_WAVES = np.arange(1.5, 12.01, 0.25)
"""Periods in the run: with fewer than one and a half a wave cannot be told from a trend."""
_BLOCKS_A_WAVE = 5
_EARNED = 10.0
"""Of BIC, for a structure that was chosen from many."""
_MOST_WAVES = 2


def structure(x: Floats, y: Floats, beside: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """Columns for two states and for waves, where they earn their place beside level, line and `beside`."""
    base = [np.ones_like(x), x, *beside]
    found: list[Floats] = []
    bic = float(fit(stack(base, [[]]), y).bic[0])
    if not beside and (states := _states(y, np.column_stack(base))) is not None:
        with_states = float(fit(stack(base, [[states]]), y).bic[0])
        if with_states < bic - _EARNED:
            found.append(states)
            bic = with_states
    seen = [f for f in _WAVES if f * _BLOCKS_A_WAVE <= len(x)]
    waves = [[np.sin(2 * np.pi * f * x), np.cos(2 * np.pi * f * x)] for f in seen]
    for _ in range(_MOST_WAVES if waves else 0):
        fits = fit(stack([*base, *found], waves), y, chosen=1)
        i = fits.best()
        if fits.bic[i] >= bic - _EARNED:
            break
        found += waves[i]
        bic = float(fits.bic[i])
    return tuple(found)


def _states(y: Floats, base: Floats) -> Floats | None:
    """Which blocks are in the higher of two states that both come back; None if there are none such."""
    found: tuple[float, Floats] | None = None
    for columns in (base[:, :1], base):
        rest = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
        high = np.zeros(len(y), dtype=bool)
        for _ in range(6):
            before, high = high, rest > _between(rest)
            if min(int(high.sum()), int((~high).sum())) < _LEAST_VISIT or bool((high == before).all()):
                break
            design = np.column_stack([base, high])
            beta = np.linalg.lstsq(design, y, rcond=None)[0]
            rest = y - base @ beta[:-1]
        if min(int(high.sum()), int((~high).sum())) < _LEAST_VISIT:
            continue
        design = np.column_stack([base, high])
        beta = np.linalg.lstsq(design, y, rcond=None)[0]
        spread = float(np.std(y - design @ beta))
        moves = np.diff(high.astype(np.int64))
        returns = bool((moves > 0).any() and (moves < 0).any()) and int(np.count_nonzero(moves)) <= len(y) / 4
        if returns and beta[-1] > _APART * spread and (found is None or spread < found[0]):
            found = spread, high.astype(np.float64)
    return found[1] if found is not None else None


def _between(rest: Floats) -> float:
    """The value that parts two clusters (Lloyd 1957)."""
    cut = float(np.min(rest) + np.max(rest)) / 2
    for _ in range(10):
        high = rest > cut
        if high.all() or not high.any():
            break
        moved = float(np.mean(rest[high]) + np.mean(rest[~high])) / 2
        if moved == cut:
            break
        cut = moved
    return cut
