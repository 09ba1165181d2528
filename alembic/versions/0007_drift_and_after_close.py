"""Drift reports, runs of the chain after a close, decisions to retrain, counts of answers.

Revision: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(astext_type=sa.Text())
PRESENT = sa.text("clock_timestamp()")
OPEN = sa.text("state IN ('waiting', 'running') OR due_at IS NOT NULL")


def upgrade() -> None:
    """Make the tables; the worker counts the log that is there already."""
    op.create_table(
        "drift_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=PRESENT, nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("bundle_id", sa.Text(), nullable=True),
        sa.Column("reference_version", sa.Integer(), nullable=True),
        sa.Column("production_version", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("tickers", JSON, nullable=False),
        sa.Column("columns", JSON, nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("coverage", JSON, nullable=False),
        sa.Column("recommendation", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("causes", JSON, nullable=False),
        sa.CheckConstraint(
            "recommendation IN ('ok', 'watch', 'retrain')", name=op.f("ck_drift_reports_recommendation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_reports")),
    )
    newest_first = [sa.literal_column("made_at DESC"), sa.literal_column("id DESC")]
    op.create_index("ix_drift_reports_made_at_id", "drift_reports", newest_first)
    create_chain()
    create_counts()


def create_chain() -> None:
    """Runs, their steps, and what they decided."""
    op.create_table(
        "chain_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("trading_day", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_runs")),
        sa.UniqueConstraint("exchange", "trading_day", name=op.f("uq_chain_runs_exchange_trading_day")),
    )
    op.create_table(
        "chain_steps",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("outcome", JSON, nullable=True),
        sa.CheckConstraint(
            "step IN ('collect', 'score', 'precompute', 'drift', 'retrain', 'gate')", name=op.f("ck_chain_steps_step")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'skipped')", name=op.f("ck_chain_steps_state")
        ),
        sa.CheckConstraint("state <> 'failed' OR error IS NOT NULL", name=op.f("ck_chain_steps_failed_has_reason")),
        sa.CheckConstraint("due_at IS NULL OR state = 'failed'", name=op.f("ck_chain_steps_only_failed_is_due")),
        sa.ForeignKeyConstraint(["run_id"], ["chain_runs.id"], name=op.f("fk_chain_steps_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "step", name=op.f("pk_chain_steps")),
    )
    op.create_index("ix_chain_steps_open", "chain_steps", ["run_id"], postgresql_where=OPEN)
    op.create_table(
        "retrain_decisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=PRESENT, nullable=False),
        sa.Column("trains", sa.Boolean(), nullable=False),
        sa.Column("rules", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("challenge_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "job_id IS NULL OR (trains AND run_id IS NOT NULL)",
            name=op.f("ck_retrain_decisions_job_trains_after_a_close"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["training_jobs.id"], name=op.f("fk_retrain_decisions_job_id")),
        sa.ForeignKeyConstraint(["report_id"], ["drift_reports.id"], name=op.f("fk_retrain_decisions_report_id")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["chain_runs.id"], name=op.f("fk_retrain_decisions_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrain_decisions")),
        sa.UniqueConstraint("run_id", name=op.f("uq_retrain_decisions_run_id")),
    )
    op.create_index("ix_retrain_decisions_decided_at", "retrain_decisions", [sa.literal_column("decided_at DESC")])


def create_counts() -> None:
    """What `/monitor` reads, so that it need not read the log."""
    op.create_table(
        "answer_counts",
        sa.Column("slice_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answers", sa.BigInteger(), nullable=False),
        sa.Column("latency_sum_ms", sa.Double(), nullable=False),
        sa.Column("latency_min_ms", sa.Double(), nullable=False),
        sa.Column("latency_max_ms", sa.Double(), nullable=False),
        sa.Column("latency_buckets", JSON, nullable=False),
        sa.Column("newest_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("slice_at", name=op.f("pk_answer_counts")),
    )
    op.create_table(
        "unanswered_counts",
        sa.Column("slice_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slice_at", "outcome", name=op.f("pk_unanswered_counts")),
    )


def downgrade() -> None:
    """Drop them; what was trained, scored and logged stays."""
    op.drop_table("unanswered_counts")
    op.drop_table("answer_counts")
    op.drop_table("retrain_decisions")
    op.drop_table("chain_steps")
    op.drop_table("chain_runs")
    op.drop_table("drift_reports")
