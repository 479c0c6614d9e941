"""Desert or beach? A handful of pictures, two classes, one small network.

python examples/desert_or_beach.py [FOLDER] [--pictures 150] [--epochs 20] [--out runs/desert]

FOLDER holds your photos in two folders, `beach` and `desert`. Without it, pictures are drawn by a
program: there are no photos here, and what the network then learns is to tell these drawings apart,
no more. They are made so that colour alone does not decide: both have sand and sky, by day, at dusk
and under clouds; a beach has water with waves between them, a desert has dunes, and at times a
blue mountain range where the water would be.

The drawings come in different sizes and formats, some turned as a camera held upright turns them,
and two files are broken, as real folders are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from photos import learn
from PIL import Image

Picture = NDArray[np.float64]

SKIES = (
    ((96, 150, 215), (190, 215, 240)),  # day
    ((60, 70, 120), (240, 150, 90)),  # dusk
    ((150, 155, 165), (205, 205, 205)),  # clouds
)
SANDS = ((225, 200, 150), (200, 150, 95), (235, 220, 190))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("folder", type=Path, nargs="?")
    options.add_argument("--pictures", type=int, default=150, help="drawn of each class")
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--out", type=Path, default=Path("runs/desert"))
    args = options.parse_args()
    folder = args.folder
    if folder is None:
        folder = args.out / "pictures"
        draw_folder(folder, args.pictures)
        print(f"Drew {args.pictures} pictures of each class into {folder}: drawings, not photos.")
    model, held = learn(folder, args.out, epochs=args.epochs)
    shares = model.predict(held)
    for position in np.random.default_rng(1).permutation(len(held))[:6]:
        name = model.class_names[shares[position].argmax()]
        print(f"{held.files[position]}: {name}, {100 * shares[position].max():.0f} %")


def draw_folder(folder: Path, count: int) -> None:
    """Pictures of both classes as files, two of them broken."""
    rng = np.random.default_rng(0)
    for name, draw in (("beach", beach), ("desert", desert)):
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            height, width = 120 + 8 * int(rng.integers(8)), 160 + 8 * int(rng.integers(12))
            picture = draw(rng, height, width)
            noise = rng.normal(0, 5, picture.shape)
            save(np.clip(picture + noise, 0, 255).astype(np.uint8), target, number)
    (folder / "beach" / "empty.jpg").write_bytes(b"")
    (folder / "desert" / "page.jpg").write_text("<html>404: not found</html>", encoding="utf-8")


def save(pixels: NDArray[np.uint8], folder: Path, number: int) -> None:
    """As JPEG, PNG or WebP; every fifth one lies on its side and says so in its EXIF data."""
    image = Image.fromarray(pixels)
    kind = ("jpg", "jpg", "png", "webp")[number % 4]
    exif = Image.Exif()
    if number % 5 == 0:
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6  # to be turned clockwise
    image.save(folder / f"{number:03d}.{kind}", exif=exif)


def beach(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Sky, water with waves to a slanting shore, and sand."""
    picture, horizon = sky_and_sand(rng, height, width)
    y, x = np.mgrid[:height, :width]
    depth = rng.uniform(0.2, 0.45) * height
    shore = horizon + depth + rng.uniform(-0.15, 0.15) * (x - width / 2)
    shore += 3 * np.sin(x / rng.uniform(8, 25))
    water = (y >= horizon) & (y < shore)
    colour = np.array((40, 110, 150)) + rng.normal(0, 25, 3)
    waves = 18 * np.sin(
        np.maximum(y - horizon, 0) ** 0.8 * 2.1 + np.sin(x / 17 + rng.uniform(0, 6))
    )
    picture[water] = (colour + waves[..., None])[water]
    foam = np.abs(y - shore) < rng.uniform(1, 3)
    picture[foam] = 235
    return picture


def desert(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Sky, perhaps far mountains, and dunes of sand, lit from one side."""
    picture, horizon = sky_and_sand(rng, height, width)
    y, x = np.mgrid[:height, :width]
    if rng.random() < 0.4:
        range_height = rng.uniform(0.05, 0.2) * height
        crest = horizon - range_height * (0.6 + 0.4 * np.sin(x / rng.uniform(6, 20)))
        far = (y >= crest) & (y < horizon + 2)
        picture[far] = np.array((70, 105, 150)) + rng.normal(0, 20, 3)
    for _ in range(int(rng.integers(2, 5))):
        foot = rng.uniform(horizon, 0.95 * height)
        swing = rng.uniform(0.04, 0.12) * height
        crest = foot + swing * np.sin(x / rng.uniform(15, 50) + rng.uniform(0, 6))
        shade = np.clip((y - crest) / (0.3 * height), 0, 1)[..., None]
        dune = (y >= crest)[..., None]
        picture = np.where(dune, picture * (0.72 + 0.28 * shade), picture)
    return picture


def sky_and_sand(rng: np.random.Generator, height: int, width: int) -> tuple[Picture, float]:
    """What both have; and the row of the horizon."""
    horizon = rng.uniform(0.25, 0.55) * height
    high, low = SKIES[rng.integers(len(SKIES))]
    sand = np.array(SANDS[rng.integers(len(SANDS))]) + rng.normal(0, 12, 3)
    y = np.arange(height)[:, None, None]
    sky = np.array(high) + (np.array(low) - high) * np.clip(y / horizon, 0, 1)
    near = sand * (0.85 + 0.15 * y / height)
    return np.where(y < horizon, sky, near) * np.ones((1, width, 1)), horizon


if __name__ == "__main__":
    main()
