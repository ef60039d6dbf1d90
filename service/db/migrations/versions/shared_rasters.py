"""Parts of jobs, and when an owner was last served."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """For a time 0001 itself made all this; a database of then has it already."""
    if sa.inspect(op.get_bind()).has_table("parts"):
        return
    op.add_column("keys", sa.Column("served", sa.Double()))
    op.add_column("jobs", sa.Column("parts_key", sa.String()))
    op.create_table(
        "parts",
        sa.Column(
            "job_id", sa.String(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("first_row", sa.Integer(), primary_key=True),
        sa.Column("stop_row", sa.Integer(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String()),
        sa.Column("lease_until", sa.Double()),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("finished", sa.Double()),
    )
    op.create_index("parts_by_finished", "parts", ["finished", "job_id", "first_row"])


def downgrade() -> None:
    """Whole rasters alone."""
    op.drop_table("parts")
    op.drop_column("jobs", "parts_key")
    op.drop_column("keys", "served")
