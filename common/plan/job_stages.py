"""The stages of a job, in order, and what each means: one table, for the code that runs them and for whoever watches."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """A stage by the name that messages, metrics, logs and PROTOCOL.md give it."""

    CONNECT = "connect"
    LOAD = "load"
    ALIGN = "align"
    PREPARE = "prepare"
    TRAIN = "train"
    REVEAL = "reveal"
    EVALUATE = "evaluate"
    SCORE = "score"
    WATCH = "watch"
    PREDEAL = "predeal"
    PROMOTE = "promote"


MEANING: dict[str, str] = {
    Stage.CONNECT: "the two parties meet, each showing its certificate",
    Stage.LOAD: "each reads and checks its own table",
    Stage.ALIGN: "which enterprises both hold",
    Stage.PREPARE: "each prepares its own columns, from training rows alone",
    Stage.TRAIN: "one model, on secret shares",
    Stage.REVEAL: "each keeps its half of the model",
    Stage.EVALUATE: "held-out rows are scored, quality is measured",
    Stage.SCORE: "rows asked for are scored, to the bank",
    Stage.WATCH: "each holds its columns against those of the training",
    Stage.PREDEAL: "randomness is dealt and stored for one use",
    Stage.PROMOTE: "both move their registries to the same champion",
}

ORDER: dict[str, tuple[Stage, ...]] = {
    "train": (Stage.CONNECT, Stage.LOAD, Stage.ALIGN, Stage.PREPARE, Stage.TRAIN, Stage.REVEAL, Stage.EVALUATE),
    "score": (Stage.CONNECT, Stage.LOAD, Stage.ALIGN, Stage.SCORE, Stage.WATCH),
    "predeal": (Stage.CONNECT, Stage.PREDEAL),
    "promote": (Stage.CONNECT, Stage.PROMOTE),
}
"""The stages of each kind of job, one after another."""

UNITS: dict[str, str] = {Stage.ALIGN: "ids", Stage.TRAIN: "steps", Stage.SCORE: "rows", Stage.PREDEAL: "arrays"}
"""What a stage counts on its way, where it counts."""
