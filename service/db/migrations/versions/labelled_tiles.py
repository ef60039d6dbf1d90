"""Labelled tiles, and what of a job's input its model has never seen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Jobs of before say nothing of their input."""
    op.add_column("jobs", sa.Column("drift", sa.JSON(none_as_null=True)))
    op.create_table(
        "tiles",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("owner", sa.String(), sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.String(), nullable=False),
        sa.Column("ortho", sa.String(), sa.ForeignKey("uploads.id"), nullable=False),
        sa.Column("height", sa.String(), sa.ForeignKey("uploads.id"), nullable=False),
        sa.Column("dtm", sa.String(), sa.ForeignKey("uploads.id")),
        sa.Column("white", sa.Double()),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("report", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("provenance", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.UniqueConstraint("job_id", "request_sha256"),
    )
    op.create_index("tiles_of_owner", "tiles", ["owner", "created"])


def downgrade() -> None:
    """Maps stay as they are."""
    op.drop_table("tiles")
    op.drop_column("jobs", "drift")
