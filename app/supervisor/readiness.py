"""A process tells its supervisor that it answers, so that the one before it may go."""

import os
from contextlib import suppress

READY_FD = "CLOSECAST_READY_FD"


def tell_ready() -> None:
    """Write into the pipe that the supervisor reads, where there is one."""
    descriptor = os.environ.pop(READY_FD, None)
    if descriptor is not None:
        with suppress(BrokenPipeError):
            os.write(int(descriptor), b"1")
        os.close(int(descriptor))


class ReadyPipe:
    """What a supervisor reads; the process gets ``writing_end``."""

    def __init__(self) -> None:
        self._reading_end, self.writing_end = os.pipe()
        os.set_blocking(self._reading_end, False)

    def hand_over(self) -> None:
        """Close our copy of the writing end, once the process has its own: its death then closes the pipe."""
        os.close(self.writing_end)

    def heard(self) -> bool | None:
        """True: the process is ready; False: it ended before it was; None: nothing yet."""
        try:
            return os.read(self._reading_end, 1) == b"1"
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Listen no more."""
        os.close(self._reading_end)
