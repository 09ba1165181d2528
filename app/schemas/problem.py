"""The one shape of every answer that is not a success (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field


class InvalidField(BaseModel):
    """One thing wrong in a request; what was sent is not repeated, it may be a secret."""

    location: list[str | int] = Field(description="Where: `query`, `path`, `body`, then the names inside.")
    message: str
    type: str = Field(description="A stable name of the rule that was broken.")


class ProblemDocument(BaseModel):
    """What went wrong, and what the caller can do about it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Path of a page that explains this kind of problem; stable, so switch on it.")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    request_id: str | None = Field(default=None, description="Quote it when you report this.")
    errors: list[InvalidField] | None = Field(default=None, description="Of `invalid-request` only.")
