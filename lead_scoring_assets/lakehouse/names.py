"""Names in SQL."""


def quoted(name: str) -> str:
    """`name` as SQL takes it whatever it holds: reserved words, blanks, quotation marks."""
    return '"' + name.replace('"', '""') + '"'
