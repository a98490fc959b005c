"""How often the judge is right: families of series whose truth is known, and what soak and others say of them."""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is imported: two workers, two cores
