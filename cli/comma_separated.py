"""Options that name several things with commas between them."""


def names_in(text: str | None) -> list[str]:
    """The names; none where the option was left out.

    >>> names_in("AAPL,MSFT,"), names_in(None)
    (['AAPL', 'MSFT'], [])
    """
    return [name for name in (text or "").split(",") if name]
