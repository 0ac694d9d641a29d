"""What a request of a client ends in where it can't be answered, in OpenAI's form.

The texts are ours alone: nothing of an upstream's reply, of a key or of a file goes into them.
"""

from typing import Any

LONGEST_WAIT = 120  # seconds of Retry-After; OpenAI's client does not wait longer
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A request that fails: the HTTP status, and what OpenAI's clients show of it.

    code: a word that programs can read. param: the field of the request at fault. wait: seconds for Retry-After.
    """

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None, wait: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.wait = None if wait is None else min(max(1, round(wait)), LONGEST_WAIT)

    def body(self) -> dict[str, Any]:
        """The JSON of the error."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """Headers beside those that every reply has."""
        return {} if self.wait is None else {"retry-after": str(self.wait)}


def bad_request(message: str, param: str | None = None) -> ApiError:
    """A request that its sender must change."""
    return ApiError(400, message, "invalid_value", param)
