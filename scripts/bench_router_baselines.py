"""What the router benchmark prints beside our figures, and labelled prompts as experts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from bench_router_data import Task

from expert_kit.names import sha256_digest
from expert_kit.routing import Candidate, FitInputs, Reader
from expert_kit.routing.encoder import clean_text
from expert_kit.routing.keywords import WordIndex, words_and_pairs
from expert_kit.routing.logistic import fit_softmax


def cleaned(texts: Iterable[str]) -> list[str]:
    """As the encoder sees them."""
    return [clean_text(text) for text in texts]


def fit_inputs(train: Iterable[tuple[str, str]], held: Iterable[tuple[str, str]], reader: Reader) -> FitInputs:
    """Labels become experts with examples."""
    own: dict[str, tuple[list[str], list[str]]] = {}
    for place, rows in enumerate((train, held)):
        for text, label in rows:
            own.setdefault(label, ([], []))[place].append(text)
    return FitInputs.of([Candidate(sha256_digest(n.encode()), n, tuple(a), "", tuple(b)) for n, (a, b) in sorted(own.items())], reader)


def baselines(task: Task, reader: Reader) -> dict[str, float]:
    """Accuracy in percent of what is always printed beside ours."""
    names = sorted({label for _, label in task.train})
    labels = np.array([names.index(label) for _, label in task.train])
    wanted = np.array([names.index(label) for _, label in task.test])
    texts, asked = [text for text, _ in task.train], [text for text, _ in task.test]
    index = WordIndex.of(texts, words_and_pairs)
    features = index.matrix(texts)
    found = {"keyword": index.scores(asked, index.profiles(features, labels, len(names)))}
    found["tfidf_lr"] = index.scores(asked, fit_softmax(features, labels, len(names), l2=1e-5, rounds=25))
    fitted = fit_inputs(task.train, [], reader).corpus
    ours = np.array([names.index(name) for name in fitted.names])[fitted.labels]
    parts = fitted.parts
    rows = reader.embed(cleaned(asked))
    sentences = rows[:, : rows.shape[1] // parts]
    cosines = sentences / np.linalg.norm(sentences, axis=1, keepdims=True) @ fitted.sentences.T
    top = np.argpartition(-cosines, 5, axis=1)[:, :5]
    sums, counts = np.zeros((len(asked), len(names))), np.zeros((len(asked), len(names)))
    at = np.arange(len(asked))[:, None]
    np.add.at(sums, (at, ours[top]), cosines[at, top])
    np.add.at(counts, (at, ours[top]), 1)
    found["semantic_router"] = np.where(counts > 0, sums / np.maximum(counts, 1), -1)
    most = float((wanted == np.bincount(labels).argmax()).mean())
    return {"constant": 100 * most, **{name: 100 * float((s.argmax(axis=1) == wanted).mean()) for name, s in found.items()}}
