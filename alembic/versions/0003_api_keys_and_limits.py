"""API keys, the day's forecasts of each user, and what wrong passwords have used up of the sign-in's brakes.

Revision: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables; a sign-in says from now on where it came from."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_api_keys_key_sha256")),
    )
    op.create_index(
        "ix_api_keys_user_id_created_at_id", "api_keys", ["user_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "daily_quotas",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_daily_quotas_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "day", name=op.f("pk_daily_quotas")),
    )
    op.create_index("ix_daily_quotas_day", "daily_quotas", ["day"], unique=False)
    op.create_table(
        "sign_in_brakes",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_sign_in_brakes")),
    )
    op.create_index("ix_sign_in_brakes_full_at", "sign_in_brakes", ["full_at"], unique=False)
    op.add_column("sign_ins", sa.Column("address_digest", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Drop them; every API key is lost."""
    op.drop_column("sign_ins", "address_digest")
    op.drop_table("sign_in_brakes")
    op.drop_table("daily_quotas")
    op.drop_table("api_keys")
