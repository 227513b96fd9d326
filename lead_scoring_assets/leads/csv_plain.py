"""The quick way to read CSV: many lines at once, where each line is plainly one row. Elsewhere it declines, and
`csv_rows` reads line by line; both give the same rows."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lead_scoring_assets.leads.blocks import LINE, MAXIMUM_CELL_CHARACTERS
from lead_scoring_assets.leads.lines import Lines

_QUOTE = ord('"')
_BREAKS = (ord("\n"), ord("\r"))
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def plain_rows(lines: Lines, at: int, stop: int, columns: Sequence[str | None], delimiter: str) -> pa.Table | None:
    """Rows of the lines `at` to `stop`; None where a single one of them is not surely a row of its own.

    `columns`: what each cell of a row is called; None: not wanted.
    """
    content = lines.content(at, stop)
    bounds = lines.bounds[at : stop + 1] - lines.bounds[at]
    lengths = np.diff(bounds)
    if (
        len(columns) < 2  # a blank line would be a row
        or not delimiter.isascii()
        or b"\0" in content
        or content.startswith(_BYTE_ORDER_MARK)  # Arrow would leave it out, wherever in the file it stands
        or int(lengths.max(initial=0)) > MAXIMUM_CELL_CHARACTERS
        or not _is_utf8(content)
    ):
        return None
    has_quotes = b'"' in content
    text = np.frombuffer(content, dtype=np.uint8)
    if has_quotes and not _is_plainly_quoted(text, bounds, ord(delimiter)):
        return None
    filled = _filled(text, bounds, lengths)
    rows = _parse(content, columns, delimiter, has_quotes)
    if rows is None or rows.num_rows != int(filled.sum()):
        return None
    numbers = pa.array(np.flatnonzero(filled) + lines.number(at), pa.int64())
    return rows.add_column(0, LINE, numbers)


def _parse(content: bytes, columns: Sequence[str | None], delimiter: str, has_quotes: bool) -> pa.Table | None:
    import pyarrow.csv as pacsv  # not needed by who only opens the house

    names = [f"c{place}" for place in range(len(columns))]  # ours, because theirs need not be distinct
    wanted = {name: column for name, column in zip(names, columns, strict=True) if column is not None}
    try:
        table = pacsv.read_csv(
            pa.BufferReader(content),
            pacsv.ReadOptions(column_names=names, block_size=len(content) + 1, use_threads=False),
            pacsv.ParseOptions(delimiter=delimiter, quote_char='"' if has_quotes else False),
            pacsv.ConvertOptions(
                include_columns=list(wanted),
                column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:  # a line of more or fewer cells
        return None
    return table.rename_columns(list(wanted.values()))


def _is_utf8(content: bytes) -> bool:
    if content.isascii():
        return True
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _filled(
    text: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which lines hold anything but their break."""
    short = np.flatnonzero((lengths <= 2) & (lengths > 0))
    filled = lengths > 0
    filled[short] = ~np.isin(text[bounds[short]], _BREAKS)
    return filled


def _is_plainly_quoted(text: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], delimiter: int) -> bool:
    """Whether no quote is open at the end of a line, and quotes stand around whole cells, or doubled inside them."""
    quotes = np.flatnonzero(text == _QUOTE)
    if (np.searchsorted(quotes, bounds) % 2).any():
        return False
    # Every line has an even number of them, so that they open and close in turn. A doubled one closes and opens again.
    opening, closing = quotes[0::2], quotes[1::2]
    before = text[np.maximum(opening - 1, 0)]
    after = text[np.minimum(closing + 1, len(text) - 1)]
    around = (delimiter, _QUOTE, *_BREAKS)
    return bool(
        (np.isin(before, around) | (opening == 0)).all() and (np.isin(after, around) | (closing == len(text) - 1)).all()
    )
