"""Scores of frozen forecasts, the hash chain over them, adaptive states and live figures.

Revision: 0006
"""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
