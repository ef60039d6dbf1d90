"""What a job will take, as it was told before it began."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of jobs of before, nobody has told."""
    op.add_column("jobs", sa.Column("estimate", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Progress tells, once they run."""
    op.drop_column("jobs", "estimate")
