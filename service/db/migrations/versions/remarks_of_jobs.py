"""What is told of a job's rasters beside how they differ from the training."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Jobs of before tell nothing more."""
    op.add_column("jobs", sa.Column("remarks", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Maps stay as they are."""
    op.drop_column("jobs", "remarks")
