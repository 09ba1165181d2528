"""A second, append-only note of each link's head, so that links which were taken out are missed.

Revision: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Note the heads that there are."""
    op.create_table(
        "chain_seals",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_chain_seals")),
    )
    op.execute("INSERT INTO chain_seals (day, head) SELECT day, head FROM chain_days")
    op.execute(
        "CREATE TRIGGER chain_seals_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON chain_seals "
        "FOR EACH STATEMENT EXECUTE FUNCTION closecast_refuse_change()"
    )
    op.execute("ALTER TABLE chain_seals ENABLE ALWAYS TRIGGER chain_seals_are_append_only")


def downgrade() -> None:
    """Drop the notes; the links stay."""
    op.drop_table("chain_seals")
