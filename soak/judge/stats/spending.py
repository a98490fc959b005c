"""How much doubt a look before the end may use up: O'Brien-Fleming spending (Lan and DeMets 1983).

Whoever looks ten times at five per cent each is wrong far more often than five times in a hundred. The function

    spent(f) = 2 - 2 Phi(z / sqrt(f)),    z = Phi^-1(1 - alpha / 2)

is what all looks up to the fraction `f` of the run may use up together; it is next to nothing early on and `alpha` at
the end. A look has what was added since the look before it. The sum of these levels bounds the error of all looks
together (Bonferroni), however closely one follows the other: a sharper bound would need to know that, and a trend in
noise that remembers itself is no Brownian motion.
"""

from __future__ import annotations

import math

from soak.judge.stats.tails import normal_above, normal_quantile

LOOKS = 10
"""Equal looks over the soak phase; the last one is its end."""
FIRST = 3
"""The first look that may decide anything: none before a quarter of the soak."""


def spent(fraction: float, alpha: float = 0.05) -> float:
    """What all looks up to `fraction` (0 to 1) of the run may use up of `alpha` together."""
    if fraction <= 0:
        return 0.0
    z = normal_quantile(1 - alpha / 2)
    return 2 * normal_above(z / math.sqrt(min(fraction, 1.0)))


def level(look: int, alpha: float = 0.05) -> float:
    """The level of look number `look` (FIRST to LOOKS - 1): what it adds to what was spent before. 0 for any other."""
    if not FIRST <= look < LOOKS:
        return 0.0
    before = spent((look - 1) / LOOKS, alpha) if look > FIRST else 0.0
    return spent(look / LOOKS, alpha) - before


def left(alpha: float = 0.05) -> float:
    """What the looks leave of `alpha` for the end of the run: with it, all of them and the end are wrong at `alpha`."""
    return alpha - spent((LOOKS - 1) / LOOKS, alpha)
