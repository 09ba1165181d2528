"""The hash chain over frozen forecasts: one link per day on which any were made."""

from datetime import date, datetime

from sqlalchemy import DateTime, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class ChainDay(Base):
    """One sealed day (UTC, by ``made_at``); triggers refuse every change.

    Attributes
    ----------
    previous : head of the day before in the chain; 32 zero bytes for the first.
    leaves : per forecast, by id: the id's 16 bytes and the SHA-256 of its row's, so that a finding can name it.
    head : SHA-256 over the former head, the day, the count and the leaves.
    """

    __tablename__ = "chain_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    n_forecasts: Mapped[int]
    leaves: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    head: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())


class ChainSeal(Base):
    """The head of a sealed day once more, written with its link and apart from it: a link taken out is missed here.

    No foreign key ties the two, or taking out the links could take these along. Triggers refuse every change.
    """

    __tablename__ = "chain_seals"

    day: Mapped[date] = mapped_column(primary_key=True)
    head: Mapped[bytes] = mapped_column(LargeBinary)
