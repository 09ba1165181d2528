# %% [markdown]
# # Train a tiny network and look at its residuals
#
# On the packaged public-domain bars (five American shares, 2000 to 2013), by the functions that `closecast train`
# calls. It takes half a minute. What to expect: residuals that look like the returns themselves, since the median
# knows next to nothing, and intervals that hold about what they promise. A network this small, on five shares, proves
# nothing about the market; what a full training is worth stands in [skill](../skill.md), with the days and shares it
# was measured on.
#
# This notebook is kept as a script; `make notebook` executes it and writes `build/notebooks/residuals.ipynb`.

# %%
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import plotly.graph_objects as go
import plotly.io
from IPython.display import Markdown

from data_pipeline.run_pipeline import collect
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.intervals import INTERVALS, interval_places
from ml_lifecycle.training.config import load_config
from ml_lifecycle.training.train import train

plotly.io.renderers.default = "plotly_mimetype"  # figures as data: nothing is fetched from anywhere to show them
folder = Path(mkdtemp(prefix="closecast-notebook-"))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Markdown:
    """Rows as a table."""
    lines = [head, ["---"] * len(head), *rows]
    return Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))


# %% [markdown]
# ## Bars
# Fetched, checked and stored as always: each run of `collect` makes a data version, which the training names.

# %%
store = FeatureStore(folder / "bars")
summary = collect(store, SampleSource())
bars = store.read_many_bar_arrays(None)
table(
    ["ticker", "bars", "from", "to"],
    [[name, len(each), each.trading_day[0], each.cutoff] for name, each in sorted(bars.items())],
)

# %% [markdown]
# ## Training
# The parts follow each other in time: training, validation (when to stop), calibration (how wide), test (looked at
# once, when everything has been decided). A pair belongs to a part only if its whole target does.

# %%
config = load_config("demo", hidden_size=8, members=1, epochs=3, every_days=1)
checkpoint = train(config, bars, data_version=store.version(), out_dir=folder / "checkpoint")
content = checkpoint.content
table(
    ["part", "to", "pairs"],
    [
        ["training", content.train_end, content.pairs["train"]],
        ["validation", content.validation_end, content.pairs["validation"]],
        ["calibration", content.calibration_end, content.pairs["calibration"]],
    ],
)

# %% [markdown]
# ## Scores, beside the naive
# All on the test part. The naive says "it closes where it did", with the quantiles of the last 1,000 days. *Relative
# MAE* below 1 and *gain* above 0 are better than the naive; the label says what a test at 98 % allows to be said.

# %%
scores = content.scores
table(
    ["days ahead", "forecasts", "relative MAE", "gain in pinball loss", "label"],
    [
        [
            row["horizon"],
            row["n"],
            f"{row['skill']['relative_mae']:.3f}",
            f"{row['skill']['pinball_skill']:+.1%}" if row["skill"]["pinball_skill"] is not None else "",
            row["skill"]["label"],
        ]
        for row in scores
    ],
)

# %% [markdown]
# ## Residuals
# Log return minus median, one day ahead. Were there something left that the past foretells, neighbouring residuals
# would go together; that their *sizes* do is volatility, which is what the widths of the intervals follow.

# %%
forecasts = checkpoint.forecasts()
one_day = forecasts.where(forecasts.horizon == 1)
median = one_day.quantiles[:, one_day.levels.index(0.5)]
residual, naive_residual = one_day.actual - median, one_day.actual


def lagged_correlation(values: np.ndarray) -> float:
    """Correlation of each day's value with the one before, within each ticker, averaged over tickers."""
    of_ticker = [values[one_day.ticker == name] for name in np.unique(one_day.ticker)]
    return float(np.mean([np.corrcoef(each[:-1], each[1:])[0, 1] for each in of_ticker]))


table(
    ["", "median", "naive"],
    [
        ["mean", f"{residual.mean():+.5f}", f"{naive_residual.mean():+.5f}"],
        ["standard deviation", f"{residual.std():.5f}", f"{naive_residual.std():.5f}"],
        ["mean absolute", f"{np.abs(residual).mean():.5f}", f"{np.abs(naive_residual).mean():.5f}"],
        ["with the day before's", f"{lagged_correlation(residual):+.3f}", f"{lagged_correlation(naive_residual):+.3f}"],
        [
            "sizes with the day before's",
            f"{lagged_correlation(np.abs(residual)):+.3f}",
            f"{lagged_correlation(np.abs(naive_residual)):+.3f}",
        ],
    ],
)

# %%
figure = go.Figure(
    [
        go.Histogram(x=residual, name="beside the median", opacity=0.6),
        go.Histogram(x=naive_residual, name="beside the naive", opacity=0.6),
    ]
)
figure.update_layout(
    barmode="overlay", title="Residuals one day ahead, log returns", xaxis_title="log return", yaxis_title="forecasts"
)
figure.show()

# %% [markdown]
# ## Calibration
# How often the outcome fell below each quantile (a perfect forecaster's points lie on the line), and how often inside
# the central intervals, with their mean width. Coverage without width says little: a wide enough interval holds
# everything.

# %%
below = (one_day.actual[:, None] < one_day.quantiles).mean(axis=0)
naive_below = (one_day.actual[:, None] < one_day.naive).mean(axis=0)
figure = go.Figure(
    [
        go.Scatter(x=[0, 1], y=[0, 1], name="perfect", mode="lines"),
        go.Scatter(x=one_day.levels, y=below, name="network", mode="markers"),
        go.Scatter(x=one_day.levels, y=naive_below, name="naive", mode="markers"),
    ]
)
figure.update_layout(title="Share of outcomes below each quantile", xaxis_title="promised", yaxis_title="found")
figure.show()

# %%
places = {level: found for level in INTERVALS if (found := interval_places(one_day.levels, level))}
rows = []
for level, (lower, upper) in places.items():
    ends = one_day.quantiles[:, lower], one_day.quantiles[:, upper]
    naive_ends = one_day.naive[:, lower], one_day.naive[:, upper]
    rows.append(
        [
            f"{level:.0%}",
            f"{metrics.coverage(one_day.actual, *ends):.1%}",
            f"{metrics.mean_width(*ends):.4f}",
            f"{metrics.coverage(one_day.actual, *naive_ends):.1%}",
            f"{metrics.mean_width(*naive_ends):.4f}",
        ]
    )
table(["promised", "network", "width", "naive", "width "], rows)

# %% [markdown]
# ## What may be said of this
# Where the label says `better`, the last table says why: the naive's intervals hold more than they promise, since its
# 1,000 days reach back into 2008 and its storms. Intervals that follow the volatility of the last weeks are narrower
# in a calm year, and to be so they need to know nothing of the future. The median gains nothing to speak of. Besides,
# four shares of one exchange move together, and one year is one year: on more shares and newer days the gain is
# smaller ([skill](../skill.md)). Whether a network should serve is asked of the [gate](../promotion.md), on days that
# neither it nor the champion has seen.
#
# **No investment advice.**
