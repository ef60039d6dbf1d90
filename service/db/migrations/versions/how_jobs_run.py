"""How long a job at work will take, and which device has computed it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of jobs of before, neither is known."""
    op.add_column("jobs", sa.Column("seconds_left", sa.Double()))
    op.add_column("jobs", sa.Column("device", sa.String()))
    op.add_column("parts", sa.Column("device", sa.String()))


def downgrade() -> None:
    """Progress alone."""
    op.drop_column("parts", "device")
    op.drop_column("jobs", "device")
    op.drop_column("jobs", "seconds_left")
