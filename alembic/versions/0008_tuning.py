"""A schema of Optuna's own for the trials of tunings; Optuna makes and upgrades its tables in it.

Revision: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apart from ours, which are compared with the models."""
    op.execute("CREATE SCHEMA optuna")


def downgrade() -> None:
    """Studies included."""
    op.execute("DROP SCHEMA optuna CASCADE")
