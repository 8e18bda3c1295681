"""Ctrl-C in one run: it stops a compiled program at its next record."""

from __future__ import annotations

from jaxlog._host.crossing_access import CrossingAccess


class Interrupt:
    """Has the programs of a run stop after Ctrl-C, and raises it where the run's block is left.

    Args:
      crossing: the programs that log to the run.

    Attributes:
      is_stopping: whether the next record stops the program.
      has_stopped: whether a record has, or Ctrl-C was pressed while the block was left.
    """

    def __init__(self, crossing: CrossingAccess) -> None:
        self._crossing = crossing
        self._detached = False
        self.is_stopping = False
        self.has_stopped = False

    def begin(self) -> None:
        """Has the next record stop the program. Called on the thread that hears of signals."""
        self.is_stopping = True
        if not self._detached:
            self._crossing.stop(True)

    def forget(self, *, leaving: bool) -> None:
        """Notes that Python raises the interrupt itself.

        Args:
          leaving: whether it has to be raised when the block is left.
        """
        self.is_stopping = False
        self._crossing.stop(False)
        self.has_stopped = leaving

    def note_record(self) -> None:
        """Notes that a record arrived: one that arrives while it is stopping stops the program."""
        if self.is_stopping:
            self.has_stopped = True

    def detach(self) -> None:
        """Leaves the programs alone from now on: they do not log to the run any more."""
        self._detached = True
        self._crossing.stop(False)

    def raise_at_end(self, error: BaseException | None) -> None:
        """Raises Ctrl-C at the end of the run's block, if JAX has made another error of it.

        Args:
          error: the one that the block is left by.

        Raises:
          KeyboardInterrupt: a record has stopped the program.
        """
        __tracebackhide__ = True  # IPython and pytest leave this frame out
        of_interrupt = self._crossing.is_of_interrupt
        if isinstance(error, KeyboardInterrupt):
            if error.__context__ is not None and of_interrupt(error.__context__):
                error.__suppress_context__ = True
        elif self.has_stopped:
            if error is None or of_interrupt(error):
                # The place where the program stopped, without JAX's error as a second one.
                traceback = None if error is None else error.__traceback__
                raise KeyboardInterrupt().with_traceback(traceback) from None
            raise KeyboardInterrupt from error
