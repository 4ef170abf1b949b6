"""Every error that Parley raises on purpose.

.. code-block:: text

    ParleyError
    ├── RequestError             the caller's fault: asking again changes nothing
    │   ├── InvalidRequest       malformed, empty, too long, out of range
    │   ├── NotFound             no such session, model, voice
    │   ├── Unauthorized         the key is missing or wrong
    │   ├── Forbidden            the key is known, and opens other things
    │   └── PreconditionFailed   right request, wrong moment (a model switch inside a session)
    ├── CapacityError            nobody's fault: full now, worth another try (``retry_after``)
    │   └── TooManyRequests      this caller's share is used up; others may still be served
    ├── UnavailableError         the peer's fault: gone, draining, unreachable; another may do it
    │   ├── Draining             it finishes what it has and takes nothing new
    │   ├── Unreached            it was never asked, so nothing is done
    │   ├── EngineError          an engine failed while it was working on this request
    │   └── NoReply              a language model answered without a word, or was stopped from answering
    ├── TimedOut                 nobody answered in time
    ├── ConfigError              a setting, a file or a package on this machine has to change
    └── SessionFailed            our fault: a session met a fault of its own code and ended
    InvalidTransition            our fault: what the state table does not know; never handled, it ends its session

Each of the tree carries a stable ``code`` for programs and one sentence for people.
``retryable`` says whether the same request may succeed elsewhere or later.
"""

from __future__ import annotations


class ParleyError(Exception):
    """Base of the tree. ``str(error)`` is one sentence that a person can act on."""

    code: str = "internal"
    retryable: bool = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(ParleyError):
    """The caller's fault: asking again changes nothing."""

    code = "bad_request"


class InvalidRequest(RequestError):
    """Malformed, empty, too long or out of range."""

    code = "invalid_request"


class NotFound(RequestError):
    """No such session, model or voice."""

    code = "not_found"


class Unauthorized(RequestError):
    """The key is missing or wrong."""

    code = "unauthorized"


class Forbidden(RequestError):
    """The key is known, and opens other things than this."""

    code = "forbidden"


class PreconditionFailed(RequestError):
    """The right request at the wrong moment."""

    code = "failed_precondition"


class CapacityError(ParleyError):
    """Full now, worth another try after ``retry_after`` seconds."""

    code = "at_capacity"
    retryable = True

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(CapacityError):
    """This caller's share is used up; others may still be served."""

    code = "too_many_requests"


class UnavailableError(ParleyError):
    """The peer is gone, draining or unreachable; another one may do it."""

    code = "unavailable"
    retryable = True


class Draining(UnavailableError):
    """The peer finishes what it has and takes nothing new; nothing is wrong with the request."""

    code = "draining"


class Unreached(UnavailableError):
    """The peer was never asked: whatever it was, it is not done."""

    code = "unreached"


class EngineError(UnavailableError):
    """An engine failed while it was working on this request."""

    code = "engine_failed"


class NoReply(UnavailableError):
    """A language model ended its reply without a word for the participant, or was stopped in the middle."""

    code = "no_reply"


class TimedOut(ParleyError):
    """Nobody answered in time."""

    code = "timed_out"
    retryable = True


class ConfigError(ParleyError):
    """A setting, a file or a package on this machine has to change first."""

    code = "configuration"


class SessionFailed(ParleyError):
    """A session's own code failed, which no session survives; the cause is in the log."""

    code = "session_failed"

    def __init__(
        self, message: str = "The session met a fault of its own and ended; the server's log says why."
    ) -> None:
        super().__init__(message)


class InvalidTransition(Exception):
    """An event that a state table does not know in this state; nothing was changed.

    Outside the tree, since whoever survives somebody else's ParleyError must not survive this one.
    """


def from_code(code: str, message: str) -> ParleyError:
    """The error that a ``code`` stands for, as it came over a wire; a code that is not known keeps its name."""
    kind = _by_code(ParleyError).get(code, ParleyError)
    error = kind(message)
    error.code = code or kind.code
    return error


def _by_code(root: type[ParleyError]) -> dict[str, type[ParleyError]]:
    # A kind that inherits its code says something to its own module only: the code stays its parent's.
    kinds = {root.code: root} if "code" in vars(root) else {}
    for kind in root.__subclasses__():
        kinds.update(_by_code(kind))
    return kinds
