"""What is counted for all processes together: the day's forecasts of a user, wrong passwords."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Date, DateTime, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class DailyQuota(Base):
    """How many forecasts the processes have taken out of a user's share of one day (UTC), spent or about to be."""

    __tablename__ = "daily_quotas"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    taken: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_daily_quotas_day", "day"),)  # old days are swept


class SignInBrake(Base):
    """What wrong passwords have used up of one brake; it is all there again at ``full_at``.

    ``subject`` is a keyed digest of an address, of an account's e-mail address, or of both: who mistypes a password
    into the wrong field leaves nothing readable here.
    """

    __tablename__ = "sign_in_brakes"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    full_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (Index("ix_sign_in_brakes_full_at", "full_at"),)  # what is full again is swept
