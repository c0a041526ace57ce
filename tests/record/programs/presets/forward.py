"""A forward pass by hand."""

import numpy as np

rng = np.random.default_rng(0)
W, U, V = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
h = np.zeros(3)
for x in np.arange(1.0, 13).reshape(3, 4):
    h = np.tanh(x @ W + h @ U)
    print(h @ V)
