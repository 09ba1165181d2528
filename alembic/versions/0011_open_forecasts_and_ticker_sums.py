"""What scoring has yet to do, and each ticker's sums of scores: neither is looked for in all history any more.

Kept by triggers, in the transaction that freezes or scores: an older process that still runs beside this schema, or
another way of writing, leaves nothing out.

Revision: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SCORING = 0x53C0_2E00  # the advisory lock of scoring runs: none is under way while their rows are summed up
HORIZONS = "1, 2, 3, 4, 5, 10, 21, 30"
LEVELS = (50, 80, 90, 95)

# Sum by its column: one row of scores each.
SUMS = {
    "n": "count(score.log_return)",
    "voids": "count(*) - count(score.log_return)",
    "absolute_error": "coalesce(sum(score.absolute_error), 0)",
    "naive_absolute_error": "coalesce(sum(score.naive_absolute_error), 0)",
    "compared": "count(score.naive_pinball)",
    "compared_pinball": "coalesce(sum(score.pinball) FILTER (WHERE score.naive_pinball IS NOT NULL), 0)",
    "naive_pinball": "coalesce(sum(score.naive_pinball), 0)",
    "directions": "count(score.direction_hit)",
    "direction_hits": "count(*) FILTER (WHERE score.direction_hit)",
    **{f"inside_{level}": f"count(*) FILTER (WHERE score.inside_{level})" for level in LEVELS},
}
FLOATS = ("absolute_error", "naive_absolute_error", "compared_pinball", "naive_pinball")
GROWN = ", ".join(f"{name} = known.{name} + excluded.{name}" for name in SUMS)


def summed(table: str, key: dict[str, str], source: str, extra: str = "") -> str:
    """The statement that adds the scores in ``source`` to the sums of ``table``; ``extra``: what grows otherwise."""
    columns = ", ".join([*key, *SUMS, *(["newest_outcome"] if extra else [])])
    newest = ", max(score.trading_day) FILTER (WHERE score.log_return IS NOT NULL)" if extra else ""
    group = ", ".join(key.values())
    return (
        f"INSERT INTO {table} AS known ({columns}) "  # noqa: S608 (names from above)
        f"SELECT {group}, {', '.join(SUMS.values())}{newest} "
        f"FROM {source} AS score JOIN forecasts AS forecast ON forecast.id = score.forecast_id "
        f"WHERE score.step IN ({HORIZONS}) GROUP BY {group} ORDER BY {group} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {GROWN}{extra}"
    )


def summed_days(source: str) -> str:
    """By ticker, step, day, kind and bundle."""
    key = {
        "ticker": "forecast.ticker",
        "step": "score.step",
        "trading_day": "score.trading_day",
        "kind": "forecast.kind",
        "bundle_id": "forecast.bundle_id",
    }
    return summed("ticker_score_days", key, source)


def summed_all(source: str) -> str:
    """By ticker, kind and step; ``greatest`` passes over nulls."""
    key = {"ticker": "forecast.ticker", "kind": "forecast.kind", "step": "score.step"}
    newest = ", newest_outcome = greatest(known.newest_outcome, excluded.newest_outcome)"
    return summed("ticker_score_sums", key, source, newest)


def upgrade() -> None:
    """Make the tables and fill them from what is there.

    Answers are read and forecasts frozen meanwhile; freezing waits from the list of open forecasts on.
    """
    create_tables()
    op.execute(f"SELECT pg_advisory_xact_lock({SCORING})")
    keep_sums()
    op.execute(summed_days("scores"))
    op.execute(summed_all("scores"))
    keep_open_list()
    op.execute(
        "INSERT INTO open_forecasts (forecast_id, ticker, kind) SELECT id, ticker, kind FROM forecasts "
        "WHERE NOT EXISTS (SELECT FROM scores WHERE forecast_id = forecasts.id AND step = 30)"
    )
    op.drop_index("ix_scores_forecast_id_last_step", table_name="scores")


def downgrade() -> None:
    """Drop all of it: scores and forecasts stay, and what was open is found in them."""
    op.execute(f"SELECT pg_advisory_xact_lock({SCORING})")
    op.execute("DROP TRIGGER forecasts_are_open_at_first ON forecasts")
    op.execute("DROP TRIGGER scores_are_summed ON scores")
    op.execute("DROP FUNCTION closecast_open_forecast()")
    op.execute("DROP FUNCTION closecast_sum_scores()")
    op.drop_table("ticker_score_sums")
    op.drop_table("ticker_score_days")
    op.drop_table("open_forecasts")
    op.create_index(
        "ix_scores_forecast_id_last_step",
        "scores",
        ["forecast_id"],
        unique=False,
        postgresql_where=sa.text("step = 30"),
    )


def keep_sums() -> None:
    """Each statement that inserts scores adds them to the sums, and closes the forecasts whose last step it scored."""
    op.execute(
        "CREATE FUNCTION closecast_sum_scores() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "  # noqa: S608 (as above)
        f"{summed_days('added')}; {summed_all('added')}; "
        "DELETE FROM open_forecasts USING added "
        "WHERE added.step = 30 AND open_forecasts.forecast_id = added.forecast_id; "
        "RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER scores_are_summed AFTER INSERT ON scores REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION closecast_sum_scores()"
    )


def keep_open_list() -> None:
    """Each forecast is open when it is frozen. Row by row: a transition table would copy all its arrays."""
    op.execute(
        "CREATE FUNCTION closecast_open_forecast() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO open_forecasts (forecast_id, ticker, kind) VALUES (NEW.id, NEW.ticker, NEW.kind); "
        "RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER forecasts_are_open_at_first AFTER INSERT ON forecasts "
        "FOR EACH ROW EXECUTE FUNCTION closecast_open_forecast()"
    )


def create_tables() -> None:
    """The tables as the models describe them."""
    op.create_table(
        "open_forecasts",
        sa.Column("forecast_id", sa.Uuid(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("forecast_id", name=op.f("pk_open_forecasts")),
    )
    op.create_index("ix_open_forecasts_ticker_kind", "open_forecasts", ["ticker", "kind"], unique=False)
    op.create_table(
        "ticker_score_days",
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("trading_day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("bundle_id", sa.Text(), nullable=False),
        *sum_columns(),
        sa.PrimaryKeyConstraint(
            "ticker", "step", "trading_day", "kind", "bundle_id", name=op.f("pk_ticker_score_days")
        ),
    )
    op.create_table(
        "ticker_score_sums",
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        *sum_columns(),
        sa.Column("newest_outcome", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("ticker", "kind", "step", name=op.f("pk_ticker_score_sums")),
    )


def sum_columns() -> list[sa.Column[int | float]]:
    """Counts and sums."""
    return [sa.Column(name, sa.Double() if name in FLOATS else sa.Integer(), nullable=False) for name in SUMS]
