"""What the gate decided about each challenger, and which bundles forecast in the champion's shadow.

Revision: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("challenges", "shadow_decisions")


def upgrade() -> None:
    """Make both tables and the triggers that keep their rows as they were written."""
    op.create_table(
        "challenges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bundle_id", sa.Text(), nullable=False),
        sa.Column("champion_id", sa.Text(), nullable=False),
        sa.Column(
            "decided_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("test_number", sa.Integer(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("verdict", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("NOT passed OR test_number IS NOT NULL", name=op.f("ck_challenges_passed_was_tested")),
        sa.CheckConstraint(
            "(test_number IS NULL) = (p_value IS NULL)", name=op.f("ck_challenges_tested_has_p_value")
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name=op.f("fk_challenges_bundle_id")),
        sa.ForeignKeyConstraint(["champion_id"], ["bundles.id"], name=op.f("fk_challenges_champion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenges")),
    )
    op.create_index("ix_challenges_champion_id_decided_at", "challenges", ["champion_id", "decided_at"], unique=False)
    op.create_index(
        "ix_challenges_decided_at_id", "challenges", [sa.text("decided_at DESC"), sa.text("id DESC")], unique=False
    )
    op.create_table(
        "shadow_decisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("bundle_id", sa.Text(), nullable=False),
        sa.Column("shadowing", sa.Boolean(), nullable=False),
        sa.Column(
            "decided_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name=op.f("fk_shadow_decisions_bundle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_decisions")),
    )
    op.create_index("ix_shadow_decisions_bundle_id_id", "shadow_decisions", ["bundle_id", "id"], unique=False)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION closecast_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_are_append_only")


def downgrade() -> None:
    """Drop both; what was challenged and when is lost."""
    op.drop_table("shadow_decisions")
    op.drop_table("challenges")
