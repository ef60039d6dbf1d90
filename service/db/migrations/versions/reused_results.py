"""What a job's results depend on, by one name, and the job that they were taken over from."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Results of before are not taken over: nobody knows what made them."""
    op.add_column("jobs", sa.Column("result_key", sa.String()))
    op.add_column("jobs", sa.Column("reused", sa.String()))
    op.create_index("jobs_by_result", "jobs", ["owner", "result_key"])


def downgrade() -> None:
    """Each job is computed."""
    op.drop_index("jobs_by_result", "jobs")
    op.drop_column("jobs", "reused")
    op.drop_column("jobs", "result_key")
