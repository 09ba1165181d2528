"""People who may ask."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, DateTime, Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Scope(StrEnum):
    """What an account may do."""

    PREDICT = "predict"
    TRAIN = "train"
    ADMIN = "admin"


class User(Base):
    """One account.

    Deleting the row is what deletes a person: sign-ins go with it (``ON DELETE CASCADE``), and rows about what was
    asked refer to it with ``ON DELETE SET NULL``, which leaves them anonymous.
    """

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    password_changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    # Jane@example.org and jane@example.org are one mailbox wherever mail is really delivered.
    __table_args__ = (
        Index("uq_users_email_lower", func.lower(email), unique=True),
        Index("ix_users_created_at_id", "created_at", "id"),  # the order in which they are listed
    )
