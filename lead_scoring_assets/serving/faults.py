"""Code that may fail in any way, and must not take more with it: whatever goes wrong in there is one kind of error out here."""

from types import TracebackType


class Fault(Exception):  # noqa: N818  # what it holds is the error
    """Something has failed; `cause` is what it raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause) or type(cause).__name__)
        self.cause = cause


class _Isolated:
    """A context manager without state: threads and requests share the one there is."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What ends a process or a task goes through as it is.
        if isinstance(value, Exception):
            raise Fault(value) from value


isolated = _Isolated()
