"""What a signed-in client holds: one sign-in, and the refresh tokens that followed each other in it."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKey, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class SignIn(Base):
    """One sign-in with a password; every token names it (``sid``), so revoking this row stops all of them at once.

    ``address_digest`` tells where its owner signs in from, also when strangers use up the account's brake.
    """

    __tablename__ = "sign_ins"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    address_digest: Mapped[bytes | None] = mapped_column(LargeBinary)


class RefreshToken(Base):
    """One refresh token: the ``jti`` of a signed token that is kept nowhere, so nothing here opens anything.

    ``client_digest`` tells a retry of the same client (same address and user agent) from a thief.
    """

    __tablename__ = "refresh_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    sign_in_id: Mapped[UUID] = mapped_column(ForeignKey("sign_ins.id", ondelete="CASCADE"), index=True)
    issued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    client_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    successor_id: Mapped[UUID | None] = mapped_column(ForeignKey("refresh_tokens.id", ondelete="SET NULL"))
