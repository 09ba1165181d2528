"""Training jobs and their events; versioned configurations.

Revision: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(astext_type=sa.Text())
PRESENT = sa.text("clock_timestamp()")


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "training_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("progress", JSON, nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=PRESENT, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_event", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("kind IN ('train', 'update', 'tune', 'drift')", name=op.f("ck_training_jobs_kind")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_training_jobs_status")
        ),
        sa.CheckConstraint(
            "(status = 'failed') = (failure IS NOT NULL)", name=op.f("ck_training_jobs_failed_has_reason")
        ),
        sa.CheckConstraint(
            "(status = 'running') = (lease_until IS NOT NULL)", name=op.f("ck_training_jobs_running_has_lease")
        ),
        sa.CheckConstraint(
            "(status IN ('queued', 'running')) = (finished_at IS NULL)",
            name=op.f("ck_training_jobs_ended_has_instant"),
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_training_jobs_owner_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_jobs")),
    )
    op.create_index(
        "uq_training_jobs_one_at_a_time",
        "training_jobs",
        ["owner_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('queued', 'running') AND kind IN ('train', 'update', 'tune')"),
    )
    op.create_index(
        "uq_training_jobs_one_drift_at_a_time",
        "training_jobs",
        ["owner_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('queued', 'running') AND kind = 'drift'"),
    )
    newest_first = [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")]
    op.create_index("ix_training_jobs_created_at_id", "training_jobs", newest_first)
    op.create_index("ix_training_jobs_owner_id_created_at_id", "training_jobs", ["owner_id", *newest_first])
    op.create_table(
        "training_job_events",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=PRESENT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.CheckConstraint("kind IN ('progress', 'log', 'status')", name=op.f("ck_training_job_events_kind")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["training_jobs.id"], name=op.f("fk_training_job_events_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_training_job_events")),
    )
    op.create_table(
        "training_defaults",
        sa.Column("version", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=PRESENT, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_training_defaults")),
    )


def downgrade() -> None:
    """Drop them; what was trained stays registered."""
    op.drop_table("training_defaults")
    op.drop_table("training_job_events")
    op.drop_table("training_jobs")
