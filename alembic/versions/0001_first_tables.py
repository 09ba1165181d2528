"""Everything the first release stores: accounts, windows, frozen forecasts, log, ledger, jobs.

Revision: 0001
"""

from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# As released with Procrastinate 3.10.0. A newer release brings migrations of its own: each gets a revision here.
PROCRASTINATE_SCHEMA = Path(__file__).parents[1] / "procrastinate" / "schema_3.10.0.sql"

APPEND_ONLY = ("forecasts", "promotions")
REFUSE_CHANGE = """
CREATE FUNCTION closecast_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: what was written stays as it is', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$
"""

DROP_PROCRASTINATE = r"""
DO $$
DECLARE
    thing record;
BEGIN
    FOR thing IN SELECT tablename AS name FROM pg_tables
        WHERE schemaname = current_schema() AND tablename LIKE 'procrastinate\_%'
    LOOP
        EXECUTE format('DROP TABLE %I CASCADE', thing.name);
    END LOOP;
    FOR thing IN SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'procrastinate\_%'
    LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', thing.name);
    END LOOP;
    FOR thing IN SELECT t.oid::regtype AS name FROM pg_type t
        WHERE t.typnamespace = current_schema()::regnamespace AND t.typtype IN ('c', 'e')
          AND t.typname LIKE 'procrastinate\_%'
    LOOP
        EXECUTE format('DROP TYPE %s CASCADE', thing.name);
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Make every table, the triggers that freeze some of them, the first partitions and the job queue."""
    create_tables()
    refuse_changes()
    create_first_partitions()
    op.get_bind().exec_driver_sql(PROCRASTINATE_SCHEMA.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    """Leave nothing."""
    op.drop_table("refresh_tokens")
    op.drop_table("prediction_log")
    op.drop_table("sign_ins")
    op.drop_table("quality_reports")
    op.drop_table("promotions")
    op.drop_table("new_ticker_requests")
    op.drop_table("forecasts")
    op.drop_table("window_failures")
    op.drop_table("users")
    op.drop_table("source_circuits")
    op.drop_table("source_budgets")
    op.drop_table("serving_windows")
    op.drop_table("data_versions")
    op.drop_table("bundles")
    op.execute("DROP FUNCTION closecast_refuse_change()")
    op.execute(DROP_PROCRASTINATE)


def refuse_changes() -> None:
    """Frozen rows: no UPDATE, DELETE or TRUNCATE, not even by a replica's session."""
    op.execute(REFUSE_CHANGE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION closecast_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_are_append_only")


def create_first_partitions() -> None:
    """This month's and the next three; `app.features.stock_prediction.partitions` goes on from there."""
    now = datetime.now(UTC)
    months = [divmod(now.year * 12 + now.month - 1 + ahead, 12) for ahead in range(5)]
    starts = [f"{year:04d}-{month + 1:02d}-01" for year, month in months]
    for start, end in zip(starts, starts[1:]):
        op.execute(
            f"CREATE TABLE prediction_log_{start[:7].replace('-', '_')} PARTITION OF prediction_log "
            f"FOR VALUES FROM ('{start} 00:00:00+00') TO ('{end} 00:00:00+00')"
        )


def create_tables() -> None:
    """The tables as the models describe them."""
    op.create_table(
        "bundles",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("train_end", sa.Date(), nullable=True),
        sa.Column("calibration_end", sa.Date(), nullable=True),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundles")),
    )
    op.create_table(
        "data_versions",
        sa.Column("table_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("table_id", "version", name=op.f("pk_data_versions")),
    )
    op.create_table(
        "serving_windows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=True),
        sa.Column("cutoff", sa.Date(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("price_basis", sa.Text(), nullable=False),
        sa.Column("target_trading_days", sa.ARRAY(sa.Date()), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known_at", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("data_table_id", sa.Text(), nullable=False),
        sa.Column("data_version", sa.Integer(), nullable=False),
        sa.Column("data_sha256", sa.Text(), nullable=False),
        sa.Column("repaired_bars", sa.Integer(), nullable=False),
        sa.Column(
            "published_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("n_bars", sa.Integer(), nullable=False),
        sa.Column("trading_day", sa.LargeBinary(), nullable=False),
        sa.Column("open", sa.LargeBinary(), nullable=False),
        sa.Column("high", sa.LargeBinary(), nullable=False),
        sa.Column("low", sa.LargeBinary(), nullable=False),
        sa.Column("close", sa.LargeBinary(), nullable=False),
        sa.Column("adj_close", sa.LargeBinary(), nullable=False),
        sa.Column("volume", sa.LargeBinary(), nullable=False),
        sa.Column("market_universe", sa.Text(), nullable=True),
        sa.Column("market_mean_return", sa.LargeBinary(), nullable=True),
        sa.Column("market_mean_absolute_return", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_serving_windows")),
        sa.UniqueConstraint(
            "ticker", "as_of", name=op.f("uq_serving_windows_ticker_as_of"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_index(
        "ix_serving_windows_newest_exchange",
        "serving_windows",
        ["exchange", "ticker"],
        unique=False,
        postgresql_where=sa.text("as_of IS NULL"),
    )
    op.create_table(
        "source_budgets",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("filled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_budgets")),
    )
    op.create_table(
        "source_circuits",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="closed", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_circuits")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("ix_users_created_at_id", "users", ["created_at", "id"], unique=False)
    op.create_index("uq_users_email_lower", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "window_failures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("bars_needed", sa.Integer(), nullable=True),
        sa.Column("bars_found", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_window_failures")),
        sa.UniqueConstraint(
            "ticker", "as_of", name=op.f("uq_window_failures_ticker_as_of"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_table(
        "forecasts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("price_basis", sa.Text(), nullable=False),
        sa.Column("cutoff", sa.Date(), nullable=False),
        sa.Column("bundle_id", sa.Text(), nullable=False),
        sa.Column("data_table_id", sa.Text(), nullable=False),
        sa.Column("data_version", sa.Integer(), nullable=False),
        sa.Column("data_sha256", sa.Text(), nullable=False),
        sa.Column("repaired_bars", sa.Integer(), nullable=False),
        sa.Column("market_inputs", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("anchor", sa.Double(), nullable=False),
        sa.Column("adaptive_alpha", sa.ARRAY(sa.Double()), nullable=True),
        sa.Column("levels", sa.ARRAY(sa.Double()), nullable=False),
        sa.Column("target_trading_days", sa.ARRAY(sa.Date()), nullable=False),
        sa.Column("known_at", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("log_returns", sa.ARRAY(sa.Double(), dimensions=2), nullable=False),
        sa.Column("naive_log_returns", sa.ARRAY(sa.Double(), dimensions=2), nullable=True),
        sa.Column("probability_up", sa.ARRAY(sa.Double()), nullable=False),
        sa.CheckConstraint("kind <> 'live' OR made_at < opens_at", name=op.f("ck_forecasts_live_precedes_open")),
        sa.CheckConstraint("kind IN ('live', 'hindcast')", name=op.f("ck_forecasts_kind")),
        sa.CheckConstraint("anchor > 0", name=op.f("ck_forecasts_anchor")),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name=op.f("fk_forecasts_bundle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forecasts")),
        sa.UniqueConstraint("bundle_id", "ticker", "cutoff", name=op.f("uq_forecasts_bundle_id_ticker_cutoff")),
    )
    op.create_index("ix_forecasts_ticker_cutoff", "forecasts", ["ticker", "cutoff"], unique=False)
    op.create_table(
        "new_ticker_requests",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_new_ticker_requests_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "day", "ticker", name=op.f("pk_new_ticker_requests")),
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("bundle_id", sa.Text(), nullable=False),
        sa.Column("previous_bundle_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "decided_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("kind <> 'forced' OR reason IS NOT NULL", name=op.f("ck_promotions_forced_has_reason")),
        sa.CheckConstraint("kind IN ('reference', 'forced', 'gate', 'rollback')", name=op.f("ck_promotions_kind")),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name=op.f("fk_promotions_bundle_id")),
        sa.ForeignKeyConstraint(["previous_bundle_id"], ["bundles.id"], name=op.f("fk_promotions_previous_bundle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
    )
    op.create_table(
        "quality_reports",
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("table_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["table_id", "version"],
            ["data_versions.table_id", "data_versions.version"],
            name=op.f("fk_quality_reports_table_id_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ticker", "table_id", "version", name=op.f("pk_quality_reports")),
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_ins_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
    )
    op.create_index(op.f("ix_sign_ins_user_id"), "sign_ins", ["user_id"], unique=False)
    op.create_table(
        "prediction_log",
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("api_key_id", sa.Uuid(), nullable=True),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("forecast_id", sa.Uuid(), nullable=True),
        sa.Column("days_ahead", sa.SmallInteger(), nullable=True),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("quantiles", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(["forecast_id"], ["forecasts.id"], name=op.f("fk_prediction_log_forecast_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_prediction_log_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("answered_at", "id", name=op.f("pk_prediction_log")),
        postgresql_partition_by="RANGE (answered_at)",
    )
    op.create_index("ix_prediction_log_forecast_id", "prediction_log", ["forecast_id"], unique=False)
    op.create_index(
        "ix_prediction_log_user_id_answered_at_id", "prediction_log", ["user_id", "answered_at", "id"], unique=False
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sign_in_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("client_digest", sa.LargeBinary(), nullable=True),
        sa.Column("successor_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["sign_in_id"], ["sign_ins.id"], name=op.f("fk_refresh_tokens_sign_in_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["successor_id"], ["refresh_tokens.id"], name=op.f("fk_refresh_tokens_successor_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(op.f("ix_refresh_tokens_sign_in_id"), "refresh_tokens", ["sign_in_id"], unique=False)
