#!/usr/bin/env python3
"""Writes tests/golden/optim/{optimizers,schedules}.json for tests/unit/optim/golden_test.cpp: trajectories of optimizers in float64 and rates of schedules.

Run by hand when an optimizer or a schedule is added; the files are kept:
    python3 -m venv venv && venv/bin/pip install torch==2.11.0 timm==1.0.31 transformers==5.24.0
    venv/bin/python tests/golden/make_optim.py

Peers are torch.optim, for LAMB and Lion timm's, for the stable-then-falling rate transformers'. torch's Muon orthogonalises in bfloat16: here that one function is
replaced by the same iteration in float64, and a convolution's weight is given as the matrix [out, rest].
Weights and gradients are the hashed uniform of make_parity.py: weight `name`, gradient `name/grad/<step>`; every second weight of the gradient is a tenth.
"""

import json
import math
import pathlib

import numpy as np
import timm.optim
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent / "optim"
STEPS = 20
SHAPES = {"w": [6, 4], "conv": [3, 2, 2, 2], "b": [5], "out": [4, 7]}  # b has no decay; out is no hidden matrix
NO_DECAY, NOT_HIDDEN = {"b"}, {"b", "out"}


def uniform(name, n):
    seed = 0xCBF29CE484222325
    for c in name.encode():
        seed = ((seed ^ c) * 0x100000001B3) % 2**64
    z = np.arange(n, dtype=np.uint64) + np.uint64((seed + 0x9E3779B97F4A7C15) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return 2 * (z >> np.uint64(11)).astype(np.float64) / 2**53 - 1


def value(name, shape):
    return torch.from_numpy(uniform(name, math.prod(shape))).reshape(shape)


def gradient(name, shape, step):
    g = uniform(f"{name}/grad/{step}", math.prod(shape))
    g[1::2] *= 0.1
    return torch.from_numpy(g).reshape(shape)


def newton_schulz(g, coefficients, steps, eps):
    a, b, c = coefficients
    x = g.T if g.size(0) > g.size(1) else g
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if g.size(0) > g.size(1) else x


torch.optim._muon._zeropower_via_newtonschulz = newton_schulz


def plain(make, **kwargs):
    """All parameters by one optimizer, those without decay in a group of their own."""

    def build(params, lr):
        groups = [
            {"params": [p for n, p in params.items() if n not in NO_DECAY]},
            {"params": [p for n, p in params.items() if n in NO_DECAY], "weight_decay": 0.0},
        ]
        return [make(groups, lr=lr, **kwargs)]

    return build


def muon(adjust, nesterov):
    def build(params, lr):
        hidden = [p for n, p in params.items() if n not in NOT_HIDDEN]
        fn = {"original": "original", "match-rms-adamw": "match_rms_adamw"}[adjust]
        return [
            torch.optim.Muon(hidden, lr=lr, weight_decay=0.05, momentum=0.9, nesterov=nesterov, adjust_lr_fn=fn),
            torch.optim.AdamW([params["out"]], lr=0.5 * lr, weight_decay=0.05),
            torch.optim.AdamW([params["b"]], lr=0.5 * lr, weight_decay=0.0),
        ]

    return build


O = torch.optim
TIMM = dict(foreach=False)
OPTIMIZERS = [
    ("sgd", {"momentum": 0, "weight_decay": 0.01}, 0.1, plain(O.SGD, weight_decay=0.01)),
    ("sgd", {"momentum": 0.9, "nesterov": False, "weight_decay": 0.01}, 0.1, plain(O.SGD, momentum=0.9, weight_decay=0.01)),
    ("sgd", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}, 0.05, plain(O.SGD, momentum=0.8, nesterov=True, weight_decay=0.1)),
    ("adam", {}, 0.01, plain(O.Adam)),
    ("adam", {"weight_decay": 0.1, "betas": [0.8, 0.95], "eps": 1e-6}, 0.02, plain(O.Adam, weight_decay=0.1, betas=(0.8, 0.95), eps=1e-6)),
    ("adam", {"amsgrad": True, "betas": [0.7, 0.8]}, 0.02, plain(O.Adam, amsgrad=True, betas=(0.7, 0.8))),
    ("adamw", {"weight_decay": 0.1}, 0.01, plain(O.AdamW, weight_decay=0.1)),
    ("adamw", {"weight_decay": 0.2, "amsgrad": True, "betas": [0.7, 0.8]}, 0.02, plain(O.AdamW, weight_decay=0.2, amsgrad=True, betas=(0.7, 0.8))),
    ("rmsprop", {}, 0.01, plain(O.RMSprop)),
    (
        "rmsprop",
        {"alpha": 0.9, "momentum": 0.7, "weight_decay": 0.1, "centered": True, "eps": 1e-6},
        0.01,
        plain(O.RMSprop, alpha=0.9, momentum=0.7, weight_decay=0.1, centered=True, eps=1e-6),
    ),
    ("rmsprop", {"momentum": 0.7}, 0.01, plain(O.RMSprop, momentum=0.7)),
    ("rmsprop", {"centered": True, "alpha": 0.8}, 0.01, plain(O.RMSprop, centered=True, alpha=0.8)),
    ("adagrad", {}, 0.05, plain(O.Adagrad)),
    (
        "adagrad",
        {"lr_decay": 0.05, "weight_decay": 0.1, "initial_sum": 0.3},
        0.05,
        plain(O.Adagrad, lr_decay=0.05, weight_decay=0.1, initial_accumulator_value=0.3),
    ),
    ("lamb", {"weight_decay": 0.1}, 0.02, plain(timm.optim.Lamb, weight_decay=0.1, max_grad_norm=None, **TIMM)),
    (
        "lamb",
        {"weight_decay": 0.02, "betas": [0.8, 0.9], "always_adapt": True, "eps": 1e-5},
        0.02,
        plain(timm.optim.Lamb, weight_decay=0.02, betas=(0.8, 0.9), always_adapt=True, eps=1e-5, max_grad_norm=None, **TIMM),
    ),
    ("lion", {"weight_decay": 0.1}, 0.01, plain(timm.optim.Lion, weight_decay=0.1, **TIMM)),
    ("lion", {"weight_decay": 0, "betas": [0.6, 0.7]}, 0.01, plain(timm.optim.Lion, weight_decay=0.0, betas=(0.6, 0.7), **TIMM)),
    (
        "muon",
        {"momentum": 0.9, "weight_decay": 0.05, "adjust_lr": "original", "adam_factor": 0.5},
        0.02,
        muon("original", True),
    ),
    (
        "muon",
        {"momentum": 0.9, "weight_decay": 0.05, "adjust_lr": "match-rms-adamw", "adam_factor": 0.5, "nesterov": False},
        0.02,
        muon("match-rms-adamw", False),
    ),
]


def trajectory(build, lr):
    matrices = build.__qualname__.startswith("muon")
    shapes = {n: [s[0], math.prod(s[1:])] if matrices and len(s) == 4 else s for n, s in SHAPES.items()}
    params = {n: value(n, s).clone().requires_grad_() for n, s in shapes.items()}
    optimizers = build(params, lr)
    for step in range(STEPS):
        for name, p in params.items():
            p.grad = gradient(name, list(p.shape), step)
        for optimizer in optimizers:
            optimizer.step()
    return {n: p.detach().flatten().tolist() for n, p in params.items()}


def rates(make, total, every=1):
    """The factor of each step, where step() is called every so many steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for step in range(total):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return factors


def plateau(values, every, **kwargs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = S.ReduceLROnPlateau(optimizer, eps=0, **kwargs)
    factors = []
    for v in values:
        factors += [optimizer.param_groups[0]["lr"]] * every
        scheduler.step(v)
    return factors


S = torch.optim.lr_scheduler
LOSSES = [1.0, 0.8, 0.79999, 0.81, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.6, 0.65, 0.66, 0.67, 0.68, 0.69, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]


def schedules():
    wsd = transformers.get_wsd_schedule
    of_losses = {"metric": "val_loss", "patience": 2, "decay_rate": 0.5, "cooldown": 1, "final_factor": 0.1}
    yield "cosine", {}, 40, 4, None, rates(lambda o: S.CosineAnnealingLR(o, T_max=40), 40)
    yield "cosine", {"final_factor": 0.1}, 40, 4, None, rates(lambda o: S.CosineAnnealingLR(o, T_max=40, eta_min=0.1), 40)
    yield "cosine", {"cycle_epochs": 2, "cycle_mul": 2, "final_factor": 0.05}, 64, 4, None, rates(
        lambda o: S.CosineAnnealingWarmRestarts(o, T_0=8, T_mult=2, eta_min=0.05), 64
    )
    yield "step", {"decay_epochs": 3, "decay_rate": 0.3}, 40, 4, None, rates(lambda o: S.StepLR(o, 3, 0.3), 40, 4)
    yield "multi-step", {"milestones": [2, 5, 6], "decay_rate": 0.2}, 40, 4, None, rates(lambda o: S.MultiStepLR(o, [2, 5, 6], 0.2), 40, 4)
    yield "exponential", {"decay_rate": 0.8}, 12, 1, None, rates(lambda o: S.ExponentialLR(o, 0.8), 12)
    yield "exponential", {"decay_rate": 0.6561}, 12, 4, None, rates(lambda o: S.ExponentialLR(o, 0.9), 12)
    yield "polynomial", {}, 30, 3, None, rates(lambda o: S.PolynomialLR(o, 30, 1.0), 30)
    yield "polynomial", {"power": 2.5}, 30, 3, None, rates(lambda o: S.PolynomialLR(o, 30, 2.5), 30)
    yield "one-cycle", {"pct_start": 0.25, "div_factor": 10, "final_div_factor": 100}, 40, 4, None, rates(
        lambda o: S.OneCycleLR(o, max_lr=1.0, total_steps=40, pct_start=0.25, div_factor=10, final_div_factor=100), 40
    )
    for shape in ("linear", "cosine", "1-sqrt"):
        yield "wsd", {"decay_share": 0.25, "decay_shape": shape, "final_factor": 0.1}, 40, 4, None, rates(
            lambda o, shape=shape: wsd(o, num_warmup_steps=0, num_decay_steps=10, num_training_steps=40, decay_type=shape, min_lr_ratio=0.1), 40
        )
    yield "plateau", of_losses, 2 * len(LOSSES), 2, LOSSES, plateau(LOSSES, 2, patience=2, factor=0.5, cooldown=1, min_lr=0.1)
    top = [1 - v for v in LOSSES]
    yield "plateau", {"metric": "val_loss", "better": "higher", "patience": 1, "decay_rate": 0.1, "threshold": 0.05}, 3 * len(top), 3, top, plateau(
        top, 3, mode="max", patience=1, factor=0.1, threshold=0.05
    )


def main():
    FOLDER.mkdir(exist_ok=True)
    made = {"torch": torch.__version__, "timm": timm.__version__, "transformers": transformers.__version__}
    cases = [{"optimizer": name, "options": options, "lr": lr, "final": trajectory(build, lr)} for name, options, lr, build in OPTIMIZERS]
    record = {"made_with": made, "steps": STEPS, "shapes": SHAPES, "no_decay": sorted(NO_DECAY), "not_hidden": sorted(NOT_HIDDEN), "cases": cases}
    (FOLDER / "optimizers.json").write_text(json.dumps(record).replace('{"optimizer"', '\n{"optimizer"') + "\n")
    keys = ("schedule", "options", "total", "steps_per_epoch", "losses", "factors")
    record = {"made_with": made, "cases": [dict(zip(keys, case)) for case in schedules()]}
    (FOLDER / "schedules.json").write_text(json.dumps(record).replace('{"schedule"', '\n{"schedule"') + "\n")


if __name__ == "__main__":
    main()
