"""Who is to be told of a job, and how that went."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of jobs of before, nobody is."""
    op.add_column("keys", sa.Column("webhook_secret", sa.String()))
    op.create_table(
        "callbacks",
        sa.Column(
            "job_id", sa.String(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("subscriber", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("told", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("failure", sa.String()),
    )
    op.create_index("callbacks_by_time", "callbacks", ["next_at"])


def downgrade() -> None:
    """Whoever waits has to ask."""
    op.drop_table("callbacks")
    op.drop_column("keys", "webhook_secret")
