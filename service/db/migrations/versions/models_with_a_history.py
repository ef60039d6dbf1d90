"""Versions of models, and what happened to them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ACTIVE = sa.text("state = 'active'")
_STATES = ("candidate", "active", "retired")


def upgrade() -> None:
    """The service fills them when it starts, with the models that are installed."""
    op.create_table(
        "models",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Enum(*_STATES, native_enum=False, length=16), nullable=False),
        sa.Column("config", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("job_id", sa.String()),
        sa.Column("created", sa.Double(), nullable=False),
    )
    op.create_index(
        "one_active_version",
        "models",
        ["name"],
        unique=True,
        sqlite_where=_ACTIVE,
        postgresql_where=_ACTIVE,
    )
    op.create_table(
        "model_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("replaced", sa.Integer()),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["name", "version"], ["models.name", "models.version"]),
    )
    op.create_index("events_of_model", "model_events", ["name", "id"])


def downgrade() -> None:
    """Models by name alone."""
    op.drop_table("model_events")
    op.drop_table("models")
