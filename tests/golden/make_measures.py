"""Writes measures.json: losses with their gradients by torch 2.11 in float64, and metrics by scikit-learn, of numbers from a fixed formula.

    python tests/golden/make_measures.py    # torch 2.11.0, scikit-learn, scipy
"""
import json
import math
import os

import numpy as np
import sklearn.metrics as sk
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def values(n, seed):
    """n numbers between -2 and 2 from sines: the test works out the same."""
    return [2 * math.sin(12.9898 * (i + 1) + 78.233 * seed) * math.cos(0.37 * i + seed) for i in range(n)]


def tensor(shape, seed):
    return torch.tensor(values(int(np.prod(shape)), seed)).reshape(shape).requires_grad_()


def done(loss, x):
    loss.sum().backward()
    return {"each": loss.detach().tolist(), "gradient": x.grad.flatten().tolist()}


def losses():
    out = {}
    labels = torch.tensor([0, 2, 1, 3, 3, 0])
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    x = tensor((6, 4), 1)
    out["cross-entropy smoothed weighted"] = done(F.cross_entropy(x, labels, weight=weights, label_smoothing=0.1, reduction="none"), x)
    x = tensor((2, 3, 4), 2)
    tokens = torch.tensor([0, -100, 1, 3, -100, 2])
    out["cross-entropy tokens"] = done(F.cross_entropy(x.flatten(0, 1), tokens, ignore_index=-100, reduction="none"), x)
    x = tensor((6, 4), 3)
    one_hot = F.one_hot(labels, 4).double() * (1 - 0.1) + 0.1 / 4
    out["bce smoothed weighted"] = done(F.binary_cross_entropy_with_logits(x, one_hot, weight=weights, reduction="none").mean(1), x)
    x = tensor((6, 4), 4)
    log_p = F.log_softmax(x, 1).gather(1, labels[:, None])[:, 0]
    out["focal weighted"] = done(-weights[labels] * (1 - log_p.exp()) ** 1.5 * log_p, x)
    targets = torch.tensor(values(12, 9)).reshape(6, 2)
    for name, loss in (("mse", lambda a: F.mse_loss(a, targets, reduction="none")), ("l1", lambda a: F.l1_loss(a, targets, reduction="none")),
                       ("huber", lambda a: F.huber_loss(a, targets, delta=0.7, reduction="none"))):
        x = tensor((6, 2), 5)
        out[name] = done(loss(x).mean(1), x)
    x = tensor((6, 3), 6)
    rows = F.normalize(x, dim=1)
    scores = rows[0::2] @ rows[1::2].T / 0.2
    right = torch.arange(3)
    out["contrastive pairs"] = done(torch.stack([F.cross_entropy(scores, right, reduction="none"), F.cross_entropy(scores.T, right, reduction="none")], 1).flatten(), x)
    x = tensor((6, 3), 7)
    rows = F.normalize(x, dim=1)
    classes = torch.tensor([0, 1, 0, 1, 0, 2])
    scores = (rows @ rows.T / 0.2).masked_fill(torch.eye(6, dtype=bool), -torch.inf)
    log_p = scores.log_softmax(1)
    each = [-log_p[i][[j for j in range(6) if j != i and classes[j] == classes[i]]].mean() if (classes == classes[i]).sum() > 1 else x.sum() * 0 for i in range(6)]
    out["contrastive classes"] = done(torch.stack(each), x)
    x = tensor((6, 3), 8)
    score = torch.tensor([0.9, 0.1, -0.3])
    out["cosine"] = done(((F.cosine_similarity(x[0::2], x[1::2]) - score) ** 2).repeat_interleave(2), x)
    return out


def ece(probabilities, labels, bins=15):
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return total


def metrics():
    out = []
    for case, (n, k) in enumerate(((60, 4), (41, 2), (200, 7))):
        logits = np.array(values(n * k, 20 + case)).reshape(n, k)
        labels = np.array([int(3 * (v + 2)) % k for v in values(n, 30 + case)])
        logits[np.arange(n), labels] += 0.8
        logits = np.round(logits, 1)  # ties
        shares = np.float32(torch.softmax(torch.tensor(logits), 1).numpy())
        predictions = shares.argmax(1)
        present = [c for c in range(k) if 0 < (labels == c).sum() < n]
        out.append({
            "n": n, "classes": k, "labels": labels.tolist(), "predictions": predictions.tolist(), "shares": [float(v) for v in shares.flatten()],
            "precision_macro": sk.precision_score(labels, predictions, average="macro", zero_division=0),
            "recall_macro": sk.recall_score(labels, predictions, average="macro", zero_division=0),
            "f1_macro": sk.f1_score(labels, predictions, average="macro", zero_division=0),
            "f1_micro": sk.f1_score(labels, predictions, average="micro"),
            "mcc": sk.matthews_corrcoef(labels, predictions),
            "auroc": float(np.mean([sk.roc_auc_score(labels == c, shares[:, c]) for c in present])),
            "ece": float(ece(np.float64(shares), labels)),
        })
    return out


def numbers():
    from scipy.stats import spearmanr
    truth = np.array(values(60, 40)).reshape(30, 2) * [1, 50] + [3, -7]
    predicted = truth + np.array(values(60, 41)).reshape(30, 2) * [0.5, 20]
    a, b = np.round(values(25, 42), 1), np.round(np.array(values(25, 42)) + 0.7 * np.array(values(25, 43)), 1)
    return {"truth": truth.flatten().tolist(), "predicted": predicted.flatten().tolist(), "rmse": float(sk.root_mean_squared_error(truth, predicted)),
            "mae": float(sk.mean_absolute_error(truth, predicted)), "r2": float(sk.r2_score(truth, predicted)),
            "a": a.tolist(), "b": b.tolist(), "spearman": float(spearmanr(a, b)[0])}


if __name__ == "__main__":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "measures.json")
    with open(path, "w") as file:
        json.dump({"losses": losses(), "classes": metrics(), "numbers": numbers()}, file, separators=(",", ":"))
        file.write("\n")
    print(path, os.path.getsize(path), "bytes")
