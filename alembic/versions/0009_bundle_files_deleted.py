"""When the clean-up deleted the files of a bundle, whose row stays.

Revision: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No bundle's files have been deleted yet."""
    op.add_column("bundles", sa.Column("files_deleted_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """A bundle whose files are gone is then refused when somebody wants it loaded."""
    op.drop_column("bundles", "files_deleted_at")
