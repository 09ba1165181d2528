"""Boosted trees for the size of the coming move: another kind of learner beside the LSTM, over the same context.

For each group of horizons LightGBM learns the mean of ``|target|`` by a log link (gamma deviance), the targets in
scaled units; the quantiles are the unconditional ones of the targets divided by it, times it. Trees see no window and
no order of days, find thresholds and interactions that a small network does not, and miss where it does well: the
average of both beats either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.scaler import Float32Array

HORIZON_GROUPS = ((1, 1), (2, 5), (6, 10), (11, 30))  # first and last horizon that share their trees
SMALLEST_MOVE = 1e-3  # a close that did not move has no gamma deviance
N_TREES = 60  # fixed: stopping by the validation part gained nothing on four folds
DEPTH = 4  # splits between root and leaf
# Slow, shallow and drawn from parts of rows and columns: a training span holds few independent months.
PARAMETERS = {
    "objective": "gamma",
    "learning_rate": 0.1,
    "max_depth": DEPTH,
    "num_leaves": 15,
    "min_data_in_leaf": 400,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # two wait for each other wherever something else runs, and take longer than one
    "verbose": -1,
}


@dataclass(frozen=True)
class Tree:
    """One tree over the context, its root first; each tuple has one entry per node.

    Attributes
    ----------
    column, threshold : a value goes left where it is not above the threshold.
    left, right : the next node; a leaf is its own.
    value : of a leaf, a part of the log of the scale; 0 elsewhere.
    """

    column: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]


@dataclass(frozen=True)
class ScaleTrees:
    """What was learnt.

    Attributes
    ----------
    trees : of each group of horizons.
    group : the group of each horizon, shape ``(n_horizons,)``.
    quantiles : of the targets divided by their scale, shape ``(n_horizons, n_levels)``.
    """

    trees: tuple[tuple[Tree, ...], ...]
    group: tuple[int, ...]
    quantiles: FloatArray


def fit_scale_trees(
    context: Float32Array,
    targets: Float32Array,
    *,
    horizons: Sequence[int],
    levels: Sequence[float],
    seed: int,
) -> ScaleTrees:
    """Learn from the training part.

    Parameters
    ----------
    context : scaled, ``(n, n_context)``.
    targets : in scaled units, ``(n, n_horizons)``.
    """
    group = tuple(_group_of(horizon) for horizon in horizons)
    log_scale = np.zeros(targets.shape)
    trees: list[tuple[Tree, ...]] = []
    for number in range(len(HORIZON_GROUPS)):
        places = [place for place, one in enumerate(group) if one == number]
        booster = _fit_group(context, targets[:, places], seed) if places else None
        if booster is not None:
            log_scale[:, places] = booster.predict(context, raw_score=True)[:, None]
        trees.append(_trees_of(booster) if booster is not None else ())
    return ScaleTrees(tuple(trees), group, np.quantile(targets / np.exp(log_scale), levels, axis=0).T)


def _group_of(horizon: int) -> int:
    return next(place for place, (first, last) in enumerate(HORIZON_GROUPS) if first <= horizon <= last)


def _fit_group(context: Float32Array, targets: Float32Array, seed: int) -> Any:
    """A LightGBM booster."""
    import lightgbm

    usual = np.abs(targets).mean(axis=0)  # so that no horizon of the group outweighs another
    moved = np.mean(np.abs(targets) / usual, axis=1) + SMALLEST_MOVE
    return lightgbm.train({**PARAMETERS, "seed": seed}, lightgbm.Dataset(context, moved, params=PARAMETERS), N_TREES)


def _trees_of(booster: Any) -> tuple[Tree, ...]:
    return tuple(_tree_of(told["tree_structure"]) for told in booster.dump_model()["tree_info"])


def _tree_of(root: Mapping[str, Any]) -> Tree:
    """From LightGBM's nested nodes; a tree that never split is one leaf."""
    nodes = [root]
    children: list[tuple[int, int]] = []
    for place, node in enumerate(nodes):  # grows while it is read: breadth first
        if "leaf_value" in node:
            children.append((place, place))
        else:
            children.append((len(nodes), len(nodes) + 1))
            nodes += [node["left_child"], node["right_child"]]
    return Tree(
        column=tuple(node.get("split_feature", 0) for node in nodes),
        threshold=tuple(_as_float32(node.get("threshold", 0.0)) for node in nodes),
        left=tuple(left for left, _ in children),
        right=tuple(right for _, right in children),
        value=tuple(node.get("leaf_value", 0.0) for node in nodes),
    )


def _as_float32(threshold: float) -> float:
    """The largest float32 that is not above: a float32 value goes the same way at either."""
    nearest = np.float32(threshold)
    # As Python's floats: NumPy would round the threshold before it compares.
    return float(nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf)))
