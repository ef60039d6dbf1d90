"""Keys that expire, that read alone, and when each was used last; what admins have done."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keys of before do not expire."""
    op.add_column("keys", sa.Column("expires", sa.Double()))
    op.add_column("keys", sa.Column("used", sa.Double()))
    op.add_column("keys", sa.Column("of_key", sa.String()))
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
    )


def downgrade() -> None:
    """A key that reads alone would be one that writes: they go."""
    op.drop_table("audit")
    op.execute("DELETE FROM keys WHERE of_key IS NOT NULL")
    for column in ("of_key", "used", "expires"):
        op.drop_column("keys", column)
