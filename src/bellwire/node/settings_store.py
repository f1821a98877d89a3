"""Settings that name a PostgreSQL server."""


def store_server(url: str) -> str:
    """Let the URL of a server pass, or an empty one; ValueError."""
    if url:
        from bellwire.base.errors import UsageError  # noqa: PLC0415 - other settings go without
        from bellwire.database.place import check_url  # noqa: PLC0415

        try:
            check_url(url)
        except UsageError as error:
            raise ValueError(str(error)) from None
    return url
