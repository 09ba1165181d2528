"""Scores of frozen forecasts, the hash chain over them, adaptive states and live figures.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

APPEND_ONLY = ("scores", "chain_days")
LEVELS = (50, 80, 90, 95)


def upgrade() -> None:
    """Make the tables; what is frozen already is scored and chained by the next run."""
    create_tables()
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION closecast_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_are_append_only")
    op.create_index("ix_forecasts_made_at", "forecasts", ["made_at"], unique=False)
    op.create_index("ix_forecasts_kind_bundle_id_cutoff", "forecasts", ["kind", "bundle_id", "cutoff"], unique=False)


def downgrade() -> None:
    """Drop all of it; forecasts stay, and are scored anew after the next upgrade."""
    op.drop_index("ix_forecasts_kind_bundle_id_cutoff", table_name="forecasts")
    op.drop_index("ix_forecasts_made_at", table_name="forecasts")
    op.drop_table("live_skill")
    op.drop_table("adaptive_states")
    op.drop_table("chain_days")
    op.drop_table("scored_series")
    op.drop_table("score_days")
    op.drop_table("scores")


def create_tables() -> None:
    """The tables as the models describe them."""
    op.create_table(
        "scores",
        sa.Column("forecast_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("trading_day", sa.Date(), nullable=False),
        sa.Column("data_table_id", sa.Text(), nullable=False),
        sa.Column("data_version", sa.Integer(), nullable=False),
        sa.Column("log_return", sa.Double(), nullable=True),
        sa.Column("absolute_error", sa.Double(), nullable=True),
        sa.Column("naive_absolute_error", sa.Double(), nullable=True),
        sa.Column("pinball", sa.Double(), nullable=True),
        sa.Column("naive_pinball", sa.Double(), nullable=True),
        sa.Column("direction_hit", sa.Boolean(), nullable=True),
        *(sa.Column(f"inside_{level}", sa.Boolean(), nullable=True) for level in LEVELS),
        *(sa.Column(f"naive_inside_{level}", sa.Boolean(), nullable=True) for level in LEVELS),
        sa.Column("scored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('scored', 'void')", name=op.f("ck_scores_status")),
        sa.CheckConstraint("(status = 'void') = (log_return IS NULL)", name=op.f("ck_scores_void_has_no_figures")),
        sa.ForeignKeyConstraint(["forecast_id"], ["forecasts.id"], name=op.f("fk_scores_forecast_id")),
        sa.PrimaryKeyConstraint("forecast_id", "step", name=op.f("pk_scores")),
    )
    op.create_index(
        "ix_scores_forecast_id_last_step",
        "scores",
        ["forecast_id"],
        unique=False,
        postgresql_where=sa.text("step = 30"),
    )
    op.create_table(
        "score_days",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("bundle_id", sa.Text(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("trading_day", sa.Date(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("voids", sa.Integer(), nullable=False),
        sa.Column("absolute_error", sa.Double(), nullable=False),
        sa.Column("naive_absolute_error", sa.Double(), nullable=False),
        sa.Column("pinball", sa.Double(), nullable=False),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("compared_pinball", sa.Double(), nullable=False),
        sa.Column("naive_pinball", sa.Double(), nullable=False),
        sa.Column("directions", sa.Integer(), nullable=False),
        sa.Column("direction_hits", sa.Integer(), nullable=False),
        *(sa.Column(f"inside_{level}", sa.Integer(), nullable=False) for level in LEVELS),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name=op.f("fk_score_days_bundle_id")),
        sa.PrimaryKeyConstraint("kind", "bundle_id", "step", "trading_day", name=op.f("pk_score_days")),
    )
    op.create_table(
        "scored_series",
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("data_table_id", sa.Text(), nullable=False),
        sa.Column("data_version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("ticker", name=op.f("pk_scored_series")),
    )
    op.create_table(
        "chain_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("n_forecasts", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_chain_days")),
    )
    op.create_table(
        "adaptive_states",
        sa.Column("bundle_id", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("alphas", sa.ARRAY(sa.Double(), dimensions=2), nullable=False),
        sa.Column("learnt_until", sa.ARRAY(sa.Date()), nullable=False),
        sa.Column("learnt", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name=op.f("fk_adaptive_states_bundle_id")),
        sa.PrimaryKeyConstraint("bundle_id", "ticker", name=op.f("pk_adaptive_states")),
    )
    op.create_table(
        "live_skill",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("bundle_id", sa.Text(), nullable=False),
        sa.Column("horizon", sa.SmallInteger(), nullable=False),
        sa.Column("days", sa.SmallInteger(), nullable=False),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name=op.f("fk_live_skill_bundle_id")),
        sa.PrimaryKeyConstraint("kind", "bundle_id", "horizon", "days", name=op.f("pk_live_skill")),
    )
