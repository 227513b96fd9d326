"""The UCI Bank Marketing leads (data set 222): fetching a verified copy, and reading it with its exact dates.

Ingestion into tables does not live here, nor does anything simulated (see `simulation.bank_crm`).
Source: Moro, Rita, Cortez (2014), doi:10.24432/C5K306, licence CC BY 4.0.
"""

import gzip
import hashlib
import http.client
import io
import urllib.parse
import urllib.request
import zipfile
import zlib
from contextlib import AbstractContextManager
from email.message import Message
from pathlib import Path
from typing import IO, Final, Protocol

import numpy as np
import pandas as pd

from lead_scoring_assets.errors import SourceError, SourceUnavailableError
from lead_scoring_assets.files import write_atomically

BANK_FILE_NAME: Final = "bank-full.csv"
BANK_FILE_SHA256: Final = "d1513ec63b385506f7cfce9f2c5caa9fe99e7ba4e8c3fa264b3aaf0f849ed32d"
BANK_ARCHIVE_URL: Final = "https://archive.ics.uci.edu/static/public/222/bank+marketing.zip"
BANK_ARCHIVE_SHA256: Final = "e0bf5f5de5b846e2f18e9d90606637267d46dfa260e0f17bb12e605db5efbeb4"
BANK_ROW_COUNT: Final = 45_211
BANK_COLUMN_TYPES: Final[dict[str, str]] = {
    "age": "int64",
    "job": "object",
    "marital": "object",
    "education": "object",
    "default": "object",
    "balance": "int64",
    "housing": "object",
    "loan": "object",
    "contact": "object",
    "day": "int64",
    "month": "object",
    "duration": "int64",
    "campaign": "int64",
    "pdays": "int64",
    "previous": "int64",
    "poutcome": "object",
    "y": "object",
}
"""Column -> pandas type, in the order of the file."""

_FIRST_YEAR: Final = 2008
_MONTH_NAMES: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_INNER_ARCHIVE_NAME: Final = "bank.zip"
_DOWNLOAD_TIMEOUT_S: Final = 30.0
# The real archive has about 1 MB and the file 4.6 MB; whatever is much larger is something else.
_ARCHIVE_LIMIT_BYTES: Final = 8 * 2**20
_FILE_LIMIT_BYTES: Final = 16 * 2**20
_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ByteStream(Protocol):
    """What is read here of an open file, archive member or HTTP response."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, fewer only at the end."""
        ...


class Opener(Protocol):
    """Opens a URL for reading; `urllib.request.urlopen` has this shape."""

    def __call__(self, url: str, /, *, timeout: float) -> AbstractContextManager[ByteStream]:
        """Open `url`; raises OSError (URLError is one) when that cannot be done within `timeout` seconds."""
        ...


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to addresses that would have been accepted in the first place."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse a downgrade to plain http; everything else is urllib's own behaviour."""
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def open_url(url: str, /, *, timeout: float) -> AbstractContextManager[ByteStream]:
    """Open an https address (http on the loopback interface), redirects included; `timeout` in seconds per wait."""
    _require_https(url)
    opened: AbstractContextManager[ByteStream] = urllib.request.build_opener(_SafeRedirects).open(url, timeout=timeout)
    return opened


def fetch_bank_file(
    downloads: Path,
    *,
    mirror: Path | None,
    url: str = BANK_ARCHIVE_URL,
    opener: Opener = open_url,
    file_sha256: str = BANK_FILE_SHA256,
    archive_sha256: str = BANK_ARCHIVE_SHA256,
) -> Path:
    """Return the path of a verified `bank-full.csv` under `downloads`, fetching it when it is not there.

    Order: a file already under `downloads` with the right checksum; else the mirror folder, when one is named
    (`bank-full.csv` or `bank-full.csv.gz`); else the official archive at `url`. A named mirror is never bypassed: who
    names one may have forbidden the network. A file under `downloads` with another checksum is replaced.

    Parameters
    ----------
    downloads:
        Folder that receives the file; made when missing.
    mirror:
        Folder that holds the file, or None to download.
    url, opener, file_sha256, archive_sha256:
        Where the archive is, how to open it, and the SHA-256 of the uncompressed file and of the outer zip.

    Raises
    ------
    SourceError
        A checksum is wrong, a file is too large or damaged, or the address is not https.
    SourceUnavailableError
        The mirror lacks the file, or there is neither a mirror nor a network.
    """
    target = downloads / BANK_FILE_NAME
    if target.is_file() and _sha256(target.read_bytes()) == file_sha256:
        return target
    if mirror is not None:
        content, where = _read_from_mirror(mirror, url)
    else:
        content, where = _read_from_archive(_download(url, opener, target, archive_sha256), url)
    _verify(content, file_sha256, where, f"Replace it by the {BANK_FILE_NAME} of {url}, unchanged.")
    downloads.mkdir(parents=True, exist_ok=True)
    write_atomically(target, content)
    return target


def read_bank_leads(path: Path) -> pd.DataFrame:
    """Read `bank-full.csv` (`;` separated) and give every row its identity and exact date.

    Returns
    -------
    pandas.DataFrame, 45,211 rows in file order
        The 17 columns of the file as they are, then `lead_id` ("bank-00001" is the first row) and `created_at`
        (datetime64[us, UTC], midnight), rebuilt from the row order as `rebuild_dates` says.

    Raises
    ------
    SourceError
        The file cannot be read as this table, or it breaks one of the facts that make its dates exact.
    """
    rows = _read_table(path)
    created_at = rebuild_dates(rows["month"], rows["day"], first_year=_FIRST_YEAR)
    _require_known_calendar(rows, created_at, path)
    row_numbers = pd.Series(np.arange(1, len(rows) + 1), index=rows.index)
    return rows.assign(lead_id="bank-" + row_numbers.astype(str).str.zfill(5), created_at=created_at)


def rebuild_dates(months: "pd.Series[str]", days: "pd.Series[int]", *, first_year: int) -> "pd.Series[pd.Timestamp]":
    """Rebuild full dates of rows in date order that record the month name and the day but no year.

    Going down the rows, a new month run starts whenever the month name changes, and the year advances whenever the
    month number of a run is lower than that of the run before. So a gap of a whole year would go unseen: the caller
    checks the result against what is known of the file.

    Returns midnights as datetime64[us, UTC] on the index of `months`; NaT where name and day are no date.
    """
    numbers = months.map({name: number for number, name in enumerate(_MONTH_NAMES, start=1)})
    years = first_year + numbers.diff().lt(0).cumsum()
    parts = pd.DataFrame({"year": years, "month": numbers, "day": days})
    return pd.to_datetime(parts, utc=True, errors="coerce").dt.as_unit("us")


def _read_table(path: Path) -> pd.DataFrame:
    try:
        # Without keep_default_na=False, pandas would take a category such as "None" or "NA" for a missing value.
        # low_memory=False: in one piece, so that a stray word in a number column gives one error, not mixed types.
        rows = pd.read_csv(path, sep=";", encoding="utf-8", keep_default_na=False, low_memory=False)
        found = list(rows.columns)
        if found != list(BANK_COLUMN_TYPES):
            raise ValueError(f"the columns {found}")
        return rows.astype(BANK_COLUMN_TYPES)
    except (OSError, ValueError) as error:
        raise SourceError(
            _explain(
                expected=f"a ';' separated table with the columns {list(BANK_COLUMN_TYPES)}",
                found=str(error),
                where=str(path),
                remedy=_FETCH_AGAIN,
            )
        ) from error


def _require_known_calendar(rows: pd.DataFrame, created_at: "pd.Series[pd.Timestamp]", path: Path) -> None:
    """Hold the file against what is known of it; the rebuilt dates are exact only while all of this is true."""
    run = rows["month"].ne(rows["month"].shift()).cumsum()
    days_going_back = int(rows["day"].groupby(run).diff().lt(0).sum())
    facts: list[tuple[str, object, object]] = [
        ("rows", BANK_ROW_COUNT, len(rows)),
        ("rows whose day and month are no date", 0, int(created_at.isna().sum())),
        ("month runs", 30, int(run.nunique())),
        ("rows whose day goes back inside a month run", 0, days_going_back),
        ("first date", "2008-05-05", _iso_date(created_at, 0)),
        ("last date", "2010-11-17", _iso_date(created_at, -1)),
        ("distinct dates", 561, int(created_at.nunique())),
    ]
    wrong = [(name, expected, found) for name, expected, found in facts if expected != found]
    if wrong:
        raise SourceError(
            _explain(
                expected=", ".join(f"{name} {expected}" for name, expected, _ in wrong),
                found=", ".join(f"{name} {found}" for name, _, found in wrong),
                where=str(path),
                remedy=_FETCH_AGAIN,
            )
        )


def _iso_date(dates: "pd.Series[pd.Timestamp]", position: int) -> str:
    return "none" if dates.empty else str(dates.iloc[position])[: len("2008-05-05")]


def _read_from_mirror(mirror: Path, url: str) -> tuple[bytes, str]:
    """Return the uncompressed bytes of the file in the mirror folder, and where exactly they came from."""
    plain, packed = mirror / BANK_FILE_NAME, mirror / f"{BANK_FILE_NAME}.gz"
    source = next((candidate for candidate in (plain, packed) if candidate.is_file()), None)
    if source is None:
        found = "neither of the two" if mirror.is_dir() else "no such folder"
        raise SourceUnavailableError(
            _explain(
                expected=f"{plain.name} or {packed.name} in the mirror folder",
                found=found,
                where=str(mirror),
                remedy=f"Put {BANK_FILE_NAME} (from {url}) there, name another folder in LEAD_SCORING_MIRROR or "
                "bank.mirror of lead_scoring.yaml, or unset both to download it.",
            )
        )
    try:
        with source.open("rb") as stream:
            if source == plain:
                return _read_limited(stream, _FILE_LIMIT_BYTES, str(source)), str(source)
            with gzip.open(stream) as unpacked:
                return _read_limited(unpacked, _FILE_LIMIT_BYTES, str(source)), str(source)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            _explain(
                expected=f"a readable {source.name}",
                found=str(error),
                where=str(source),
                remedy=f"Copy the file there again, or take it from {url}.",
            )
        ) from error


def _download(url: str, opener: Opener, target: Path, archive_sha256: str) -> bytes:
    """Return the verified bytes of the official archive."""
    _require_https(url)
    try:
        with opener(url, timeout=_DOWNLOAD_TIMEOUT_S) as response:
            archive = _read_limited(response, _ARCHIVE_LIMIT_BYTES, url)
    except (OSError, http.client.HTTPException) as error:
        already_there = "a file with another checksum" if target.is_file() else "no file"
        raise SourceUnavailableError(
            _explain(
                expected=f"{BANK_FILE_NAME} in the downloads folder or a mirror folder, or else the network",
                found=f"{already_there} at {target}, no mirror folder named, and the download failed ({error})",
                where=url,
                remedy="Do one of these: (1) set LEAD_SCORING_MIRROR=/folder/with/bank-full.csv, or bank.mirror in "
                "lead_scoring.yaml; (2) connect to the internet and run this again; (3) download the archive by hand "
                f"from {url}, take {BANK_FILE_NAME} out of the {_INNER_ARCHIVE_NAME} inside it, and put it in that "
                "folder.",
            )
        ) from error
    _verify(
        archive,
        archive_sha256,
        url,
        f"Run this again; if it stays so, take {BANK_FILE_NAME} from a source you trust and name its folder in "
        "LEAD_SCORING_MIRROR.",
    )
    return archive


def _read_from_archive(archive: bytes, url: str) -> tuple[bytes, str]:
    """Return the bytes of `bank-full.csv` out of the zip inside the official zip, and where they came from."""
    inner = _extract(archive, _INNER_ARCHIVE_NAME, _ARCHIVE_LIMIT_BYTES, url)
    where = f"{url} > {_INNER_ARCHIVE_NAME}"
    return _extract(inner, BANK_FILE_NAME, _FILE_LIMIT_BYTES, where), f"{where} > {BANK_FILE_NAME}"


def _extract(archive: bytes, member: str, limit_bytes: int, where: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened, opened.open(member) as stream:
            return _read_limited(stream, limit_bytes, f"{where} > {member}")
    # RuntimeError is how zipfile says "encrypted" and "unknown compression".
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
        raise SourceError(
            _explain(
                expected=f"a zip archive that holds {member}",
                found=str(error),
                where=where,
                remedy=f"Get {BANK_FILE_NAME} by hand and name its folder in LEAD_SCORING_MIRROR.",
            )
        ) from error


def _read_limited(stream: ByteStream, limit_bytes: int, where: str) -> bytes:
    """Read a stream to its end, but never more than the limit: a small archive can unpack to any size."""
    content = stream.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise SourceError(
            _explain(
                expected=f"at most {limit_bytes:,} bytes",
                found="more than that",
                where=where,
                remedy=f"This is not the official file; take {BANK_FILE_NAME} from {BANK_ARCHIVE_URL}.",
            )
        )
    return content


def _verify(content: bytes, expected_sha256: str, where: str, remedy: str) -> None:
    found = _sha256(content)
    if found != expected_sha256:
        raise SourceError(
            _explain(
                expected=f"sha256 {expected_sha256}",
                found=f"sha256 {found} ({len(content):,} bytes)",
                where=where,
                remedy=remedy,
            )
        )


def _require_https(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS):
        return
    raise SourceError(
        _explain(
            expected="an https address (http only on this machine itself)",
            found=f"scheme {parts.scheme!r}",
            where=url,
            remedy=f"Use {BANK_ARCHIVE_URL}, or a mirror folder in LEAD_SCORING_MIRROR.",
        )
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _explain(*, expected: str, found: str, where: str, remedy: str) -> str:
    return f"Expected {expected}; found {found}; in {where}. {remedy}"


_FETCH_AGAIN: Final = (
    "Delete the file and fetch it again (its checksum is verified then); rows must stay in the order of the "
    "official file."
)
