"""Uploads are found by their content."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """They have had their sha256 from the start."""
    op.create_index("uploads_by_content", "uploads", ["owner", "sha256"])


def downgrade() -> None:
    """By name and id alone."""
    op.drop_index("uploads_by_content", "uploads")
