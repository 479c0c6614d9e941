"""Train a small network on the bundled images, save it, load it, use it.

python examples/quickstart.py
"""

from __future__ import annotations

import fastcnn
from fastcnn.layers import Conv2D, Dense, Flatten, MaxPooling2D, Rescaling

(x_train, y_train), (x_test, y_test) = fastcnn.data.sample()

model = fastcnn.Sequential(
    [
        Rescaling(1 / 255),
        Conv2D(16, 3, padding="same", activation="relu"),
        MaxPooling2D(),
        Conv2D(32, 3, padding="same", activation="relu"),
        MaxPooling2D(),
        Flatten(),
        Dense(64, activation="relu"),
        Dense(10, activation="softmax"),
    ],
    input_shape=(28, 28, 1),
    seed=0,
)
model.summary()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=5, validation_data=(x_test, y_test))

model.save("quickstart.h5")
again = fastcnn.load("quickstart.h5")
names = fastcnn.data.class_names("sample")
for label, probabilities in zip(y_test[:5], again.predict(x_test[:5]), strict=True):
    guess = probabilities.argmax()
    print(f"{names[label]} taken for {names[guess]}, {100 * probabilities[guess]:.0f} %")
