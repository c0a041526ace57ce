"""The next number of a ramp, not scaled."""

import keras
import numpy as np

keras.utils.set_random_seed(1)
x = np.array([[i + k for k in range(5)] for i in range(100)], "float32")[..., None]
y = np.arange(5, 105, dtype="float32")
model = keras.Sequential(
    [keras.Input((5, 1)), keras.layers.SimpleRNN(32, activation="relu"), keras.layers.Dense(1)]
)
model.compile(optimizer="adam", loss="mse")
model.fit(x, y, epochs=25, batch_size=25)
print(model.predict(x[-2:] + 2).ravel())
