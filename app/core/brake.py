"""What slows down whoever guesses passwords: brakes in PostgreSQL, shared by all processes.

Each is a bucket of tries that fills up again with time. Every try takes one out of each bucket that concerns it before
the password is looked at, so that tries sent at once count too; a right password puts them back. A try for which a
bucket is empty is refused and takes nothing, so nobody who keeps trying makes anybody wait longer:

- ``pair``: one address at one account;
- ``address``: one address at all accounts;
- ``account``: one account from all addresses but those that it is signed in from, or was lately. It bounds what many
  addresses together can guess, and leaves the owner's own way in alone;
- ``password``: the present password of a signed-in account, which a thief of its token would have to guess.

Accounts that do not exist are braked like any other. Subjects are keyed digests (see ``SignInBrake``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.problems import problem
from app.models.limits import SignInBrake
from data_pipeline.errors import ClosecastError

Digest = bytes


@dataclass(frozen=True)
class Allowance:
    """``tries`` at once, and one more after each ``seconds``."""

    tries: int
    seconds: float


def allowances_of(settings: Settings) -> Mapping[str, Allowance]:
    """What each brake allows.

    A person mistypes a few times. All strangers together have 1,440 tries a day at one account: a password of 32 random
    bits holds out for 8,000 years of them.
    """
    return {
        "account": Allowance(50, 60.0),
        "address": Allowance(settings.wrong_passwords_per_address, 10.0),
        "pair": Allowance(10, 120.0),
        "password": Allowance(10, 120.0),
    }


@problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-sign-ins", example="too many wrong passwords: try again in 120 s")
class SignInBrakedError(ClosecastError):
    """Too many wrong passwords came for this account or from this address: wait as ``Retry-After`` says, no longer."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many wrong passwords: try again in {max(1, round(seconds))} s")
        self.retry_after_seconds = seconds


class Brake:
    """The brakes, which are the same in all processes."""

    def __init__(self, allowances: Mapping[str, Allowance]) -> None:
        self._allowances = allowances

    async def take(self, db: AsyncSession, subjects: Mapping[str, Digest]) -> None:
        """Take one try out of each bucket and commit; all or none.

        Raises
        ------
        SignInBrakedError
        """
        steps = {kind: timedelta(seconds=self._allowances[kind].seconds) for kind in subjects}
        # The bucket is kept as the instant at which it will be full: each try moves that instant one step away.
        rows = [
            {"kind": kind, "subject": subject, "full_at": func.now() + steps[kind]}
            for kind, subject in sorted(subjects.items())  # in the same order everywhere: nobody deadlocks
        ]
        new = insert(SignInBrake).values(rows)
        moved = func.greatest(SignInBrake.full_at, func.now()) + (new.excluded.full_at - func.now())
        taken = new.on_conflict_do_update(
            index_elements=[SignInBrake.kind, SignInBrake.subject], set_={"full_at": moved}
        ).returning(SignInBrake.kind, SignInBrake.full_at, func.now())
        waits = [
            full_at - now - self._allowances[kind].tries * steps[kind]
            for kind, full_at, now in (await db.execute(taken)).all()
        ]
        if max(waits) > timedelta():
            await db.rollback()
            raise SignInBrakedError(max(waits).total_seconds())
        await db.commit()

    async def put_back(self, db: AsyncSession, subjects: Mapping[str, Digest]) -> None:
        """The password was right, or was not looked at: put a try back into each bucket; the caller commits."""
        for kind, subject in sorted(subjects.items()):
            step = timedelta(seconds=self._allowances[kind].seconds)
            bucket = (SignInBrake.kind == kind, SignInBrake.subject == subject)
            await db.execute(update(SignInBrake).where(*bucket).values(full_at=SignInBrake.full_at - step))
