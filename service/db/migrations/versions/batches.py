"""Jobs of one request for many maps know it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Jobs of before stand for themselves."""
    op.add_column("jobs", sa.Column("batch", sa.String()))
    op.create_index("jobs_of_batch", "jobs", ["batch"])


def downgrade() -> None:
    """They do again."""
    op.drop_index("jobs_of_batch", "jobs")
    op.drop_column("jobs", "batch")
