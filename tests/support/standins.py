"""Small data in the forms of the data sets that configs name, at the places where the configs look for them: below data/ of a working folder."""
import os
import random

CATEGORIES = {"law": "court judge lawyer jury appeal verdict", "food": "bread soup pepper cook supper onion", "perl": "regex scalar hash closure module shell"}


def cifar10(folder, each=10):
    """CIFAR-10's own binary form: data_batch_1.bin to data_batch_5.bin and test_batch.bin, `each` records of a label byte and 3 planes of 32x32.
    A class has a level and a stripe of its own, so that there is something to learn."""
    os.makedirs(folder, exist_ok=True)
    noise = random.Random(1)
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        with open(os.path.join(folder, name), "wb") as file:
            for i in range(each):
                label = i % 10
                planes = bytes((20 * label + 40 * (y // 4 % 2 == label % 2) + 10 * plane + noise.randrange(12)) % 256
                               for plane in range(3) for y in range(32) for _ in range(32))
                file.write(bytes([label]) + planes)
    return folder


def fortunes(folder, each=40):
    """A file a category, a text a line, as scripts/data/fortunes.sh writes it."""
    os.makedirs(folder, exist_ok=True)
    pick = random.Random(2)
    for name, words in CATEGORIES.items():
        lines = [" ".join(pick.choices(words.split(), k=6)) for _ in range(each)]
        open(os.path.join(folder, f"{name}.txt"), "w", encoding="utf-8").write("\n".join(lines) + "\n")
    return folder


def bible(file, verses=60):
    """A verse a line, as scripts/data/bible.sh writes it."""
    os.makedirs(os.path.dirname(file) or ".", exist_ok=True)
    open(file, "w", encoding="utf-8").write("".join(f"And the evening and the morning were day {i}.\n" for i in range(1, verses + 1)))
    return file


def make_all(folder):
    """All of them below `folder`/data."""
    cifar10(os.path.join(folder, "data/cifar10"))
    fortunes(os.path.join(folder, "data/fortunes"))
    bible(os.path.join(folder, "data/bible.txt"))
