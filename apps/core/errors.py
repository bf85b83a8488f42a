"""The three kinds of refusal; each carries a stable code, and only doors know status codes."""


class Refusal(Exception):
    """A request that cannot be granted.

    `code` is stable and documented beside the raiser; `message` is for people;
    `path` names the offending field (`conversion.lines[0].unit_price`), or is empty.
    """

    code = "refused"
    message = "The request was refused."

    def __init__(
        self, message: str | None = None, *, code: str | None = None, path: str = "", **details: object
    ) -> None:
        self.message = message or type(self).message
        self.code = code or type(self).code
        self.path = path
        self.details = details
        super().__init__(self.message)


class NotFound(Refusal):
    """The thing is not there, or not the caller's to see."""

    code = "not_found"
    message = "There is no such thing here."


class Conflict(Refusal):
    """The thing is there, but its state or content contradicts the request."""

    code = "conflict"
    message = "This contradicts what is already recorded."


class Invalid(Refusal):
    """The request itself is wrong."""

    code = "invalid"
    message = "The request is not valid."
