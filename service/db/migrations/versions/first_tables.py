"""Keys, uploads and jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATES = ("accepted", "running", "successful", "failed", "dismissed")


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "keys",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False, unique=True),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("revoked", sa.Double()),
    )
    _create_uploads()
    _create_jobs()


def downgrade() -> None:
    """To an empty database."""
    for table in ("jobs", "uploads", "keys"):
        op.drop_table(table)


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("owner", sa.String(), sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("report", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
    )
    op.create_index("uploads_of_owner", "uploads", ["owner", "created"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("owner", sa.String(), sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("state", sa.Enum(*_STATES, native_enum=False, length=16), nullable=False),
        sa.Column("inputs", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("idempotency_key", sa.String()),
        sa.Column("request_sha256", sa.String()),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String()),
        sa.Column("lease_until", sa.Double()),
        sa.Column("result_epoch", sa.Integer()),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True)),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("started", sa.Double()),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("finished", sa.Double()),
        sa.UniqueConstraint("owner", "idempotency_key"),
    )
    op.create_index("jobs_of_owner", "jobs", ["owner", "created", "id"])
    op.create_index("jobs_by_state", "jobs", ["state", "created"])
