"""The bank's leads: fetched verified or not at all, and dated as the source says. Real file, loopback server."""

import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.leads.bank import (
    BANK_ARCHIVE_URL,
    BANK_COLUMN_TYPES,
    BANK_FILE_NAME,
    BANK_FILE_SHA256,
    fetch_bank_file,
    open_url,
    read_bank_leads,
    rebuild_dates,
)

LEADS_PER_MONTH = {
    f"{year}-{month:02d}": count
    for year, counts in {
        2008: {5: 7957, 6: 4486, 7: 6380, 8: 5215, 10: 80, 11: 3598, 12: 13},
        2009: {1: 1176, 2: 2296, 3: 258, 4: 2718, 5: 5575, 6: 642, 7: 207, 8: 772, 9: 282, 10: 438, 11: 297, 12: 201},
        2010: {1: 227, 2: 353, 3: 219, 4: 214, 5: 234, 6: 213, 7: 308, 8: 260, 9: 297, 10: 220, 11: 75},
    }.items()
    for month, count in counts.items()
}
SMALL_FILE = b"age;y\n30;no\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def no_network(url: str, /, *, timeout: float) -> NoReturn:
    raise urllib.error.URLError("Name or service not known")


def must_not_be_called(url: str, /, *, timeout: float) -> NoReturn:
    raise AssertionError(f"the network was used: {url}")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], str]]:
    """Start loopback servers that answer any GET with given bytes; gives the address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers: list[ThreadingHTTPServer] = []

    def start(body: bytes, *, status: int = 200, location: str | None = None, announced: int | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if announced is None else announced))
                if location is not None:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/bank.zip"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


# --- Reading, with identity and dates


def test_every_row_is_read_as_it_is_in_the_file(bank_leads: pd.DataFrame, bank_csv: Path) -> None:
    lines = bank_csv.read_text(encoding="utf-8").splitlines()[1:]
    assert list(bank_leads.columns) == [*BANK_COLUMN_TYPES, "lead_id", "created_at"]
    rebuilt = bank_leads[list(BANK_COLUMN_TYPES)].astype(str).agg(";".join, axis=1)
    assert rebuilt.tolist() == [line.replace('"', "") for line in lines]
    assert int(bank_leads["y"].eq("yes").sum()) == 5289


def test_lead_ids_are_the_row_numbers(bank_leads: pd.DataFrame) -> None:
    assert bank_leads["lead_id"].tolist() == [f"bank-{number:05d}" for number in range(1, 45_212)]


def test_dates_are_those_of_the_source(bank_leads: pd.DataFrame) -> None:
    created_at = bank_leads["created_at"]
    assert str(created_at.dtype) == "datetime64[us, UTC]"
    assert created_at.is_monotonic_increasing
    assert created_at.dt.strftime("%Y-%m").value_counts().sort_index().to_dict() == LEADS_PER_MONTH
    assert (created_at.iloc[0], created_at.iloc[-1]) == (
        pd.Timestamp("2008-05-05", tz="UTC"),
        pd.Timestamp("2010-11-17", tz="UTC"),
    )
    assert created_at.nunique() == 561
    assert created_at.dt.normalize().eq(created_at).all()


def test_rebuilt_dates_fall_on_working_days_though_the_weekday_was_not_used(bank_leads: pd.DataFrame) -> None:
    assert bank_leads["created_at"].dt.weekday.lt(5).mean() == pytest.approx(0.999, abs=0.0005)


@given(st.lists(st.integers(min_value=0, max_value=300), min_size=1, max_size=60), st.integers(1, 28))
def test_any_ordered_dates_are_rebuilt_when_no_month_name_comes_back_within_a_gap(gaps: list[int], day: int) -> None:
    dates = [date(2008, 5, day)]
    for gap in gaps:
        dates.append(dates[-1] + timedelta(days=gap))
    names = pd.Series([each.strftime("%b").lower() for each in dates])
    days = pd.Series([each.day for each in dates])
    assert [each.date() for each in rebuild_dates(names, days, first_year=2008)] == dates


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda lines: lines[:-1], "rows 45210"),
        (lambda lines: [lines[0], lines[-1], *lines[1:-1]], "month runs 31"),
        (lambda lines: [lines[0], lines[8000], *lines[1:8000], *lines[8001:]], "first date 2008-06-"),
        (lambda lines: [lines[0], lines[7000], *lines[1:7000], *lines[7001:]], "day goes back inside a month run 1"),
        (lambda lines: [*lines[:-1], lines[-1].replace(';17;"nov"', ';31;"nov"')], "no date 1"),
        (lambda lines: [*lines[:-1], lines[-1].replace(';17;"nov"', ';18;"nov"')], "last date 2010-11-18"),
        (lambda lines: [*lines[:-1], lines[-1].replace(';17;"nov"', ';"x";"nov"')], "invalid literal"),
        (lambda lines: [line.replace(";", ",") for line in lines], "the columns ['age,"),
        (lambda lines: lines[:1], "rows 0"),
        (lambda lines: [], "No columns to parse"),
    ],
)
def test_a_file_that_breaks_a_fact_is_refused_by_that_fact(
    break_it: Callable[[list[str]], list[str]], said: str, bank_csv: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join(break_it(bank_csv.read_text(encoding="utf-8").splitlines())), encoding="utf-8")
    with pytest.raises(SourceError) as refused:
        read_bank_leads(broken)
    assert said in str(refused.value)
    assert str(broken) in str(refused.value)
    assert "fetch it again" in str(refused.value)


def test_reading_a_missing_file_says_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"No such file.*nowhere\.csv.*fetch it again"):
        read_bank_leads(tmp_path / "nowhere.csv")


# --- Fetching from the downloads folder or a mirror


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_mirror_gives_the_file_plain_or_packed(is_packed: bool, bank_csv: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    content = bank_csv.read_bytes()
    if is_packed:
        (mirror / f"{BANK_FILE_NAME}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    else:
        (mirror / BANK_FILE_NAME).write_bytes(content)
    fetched = fetch_bank_file(tmp_path / "made" / "downloads", mirror=mirror, opener=must_not_be_called)
    assert fetched == tmp_path / "made" / "downloads" / BANK_FILE_NAME
    assert sha256(fetched.read_bytes()) == BANK_FILE_SHA256
    assert [path.name for path in fetched.parent.iterdir()] == [BANK_FILE_NAME]


def test_a_verified_download_is_used_without_mirror_or_network(tmp_path: Path) -> None:
    (tmp_path / BANK_FILE_NAME).write_bytes(SMALL_FILE)
    fetched = fetch_bank_file(
        tmp_path, mirror=tmp_path / "nowhere", opener=must_not_be_called, file_sha256=sha256(SMALL_FILE)
    )
    assert fetched.read_bytes() == SMALL_FILE


def test_a_damaged_download_is_replaced(tmp_path: Path) -> None:
    downloads, mirror = tmp_path / "downloads", tmp_path / "mirror"
    for folder, content in ((downloads, SMALL_FILE[:-3]), (mirror, SMALL_FILE)):
        folder.mkdir()
        (folder / BANK_FILE_NAME).write_bytes(content)
    assert fetch_bank_file(downloads, mirror=mirror, file_sha256=sha256(SMALL_FILE)).read_bytes() == SMALL_FILE


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_mirror_file_with_another_checksum_is_refused(is_packed: bool, tmp_path: Path) -> None:
    mirror, downloads = tmp_path / "mirror", tmp_path / "downloads"
    mirror.mkdir()
    name = f"{BANK_FILE_NAME}.gz" if is_packed else BANK_FILE_NAME
    (mirror / name).write_bytes(gzip.compress(SMALL_FILE) if is_packed else SMALL_FILE)
    with pytest.raises(SourceError) as refused:
        fetch_bank_file(downloads, mirror=mirror, opener=must_not_be_called)
    for part in (f"Expected sha256 {BANK_FILE_SHA256}", f"found sha256 {sha256(SMALL_FILE)}", str(mirror / name)):
        assert part in str(refused.value)
    assert not downloads.exists()


@pytest.mark.parametrize(("is_made", "said"), [(True, "neither of the two"), (False, "no such folder")])
def test_a_mirror_without_the_file_is_never_bypassed(is_made: bool, said: str, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    if is_made:
        mirror.mkdir()
    with pytest.raises(SourceError) as refused:
        fetch_bank_file(tmp_path / "downloads", mirror=mirror, opener=must_not_be_called)
    for part in (said, str(mirror), "bank-full.csv or bank-full.csv.gz", "LEAD_SCORING_MIRROR", "bank.mirror"):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    "packed", [b"not gzip at all", gzip.compress(SMALL_FILE, mtime=0)[:-6]], ids=["foreign", "cut off"]
)
def test_a_damaged_packed_mirror_file_is_refused(packed: bytes, tmp_path: Path) -> None:
    (tmp_path / f"{BANK_FILE_NAME}.gz").write_bytes(packed)
    with pytest.raises(SourceError, match=r"readable bank-full\.csv\.gz.*Copy the file there again"):
        fetch_bank_file(tmp_path / "downloads", mirror=tmp_path)


def test_a_packed_mirror_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{BANK_FILE_NAME}.gz").write_bytes(gzip.compress(bytes(17 * 2**20), compresslevel=1))
    with pytest.raises(SourceError, match=r"at most 16,777,216 bytes"):
        fetch_bank_file(tmp_path / "downloads", mirror=tmp_path)


# --- Fetching from the network


def test_without_mirror_and_network_one_message_names_every_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as refused:
        fetch_bank_file(tmp_path / "downloads", mirror=None, opener=no_network)
    for part in (
        "Name or service not known",
        str(tmp_path / "downloads" / BANK_FILE_NAME),
        "LEAD_SCORING_MIRROR=/folder/with/bank-full.csv",
        "bank.mirror in lead_scoring.yaml",
        "connect to the internet",
        "by hand from " + BANK_ARCHIVE_URL,
    ):
        assert part in str(refused.value)
    assert not (tmp_path / "downloads").exists()


def fetch_served(tmp_path: Path, url: str, archive: bytes, content: bytes = SMALL_FILE) -> Path:
    return fetch_bank_file(
        tmp_path / "downloads",
        mirror=None,
        url=url,
        file_sha256=sha256(content),
        archive_sha256=sha256(archive),
    )


def test_the_archive_is_downloaded_and_unpacked(serve: Callable[..., str], tmp_path: Path) -> None:
    archive = zipped({"bank.zip": zipped({"bank.csv": b"", BANK_FILE_NAME: SMALL_FILE}), "other.zip": b""})
    fetched = fetch_served(tmp_path, serve(archive), archive)
    assert fetched.read_bytes() == SMALL_FILE
    assert [path.name for path in fetched.parent.iterdir()] == [BANK_FILE_NAME]


def test_a_redirect_within_what_is_allowed_is_followed(serve: Callable[..., str], tmp_path: Path) -> None:
    archive = zipped({"bank.zip": zipped({BANK_FILE_NAME: SMALL_FILE})})
    redirecting = serve(b"", status=302, location=serve(archive))
    assert fetch_served(tmp_path, redirecting, archive).read_bytes() == SMALL_FILE


@pytest.mark.parametrize("location", ["http://example.org/bank.zip", "ftp://127.0.0.1/bank.zip"])
def test_a_redirect_away_from_https_is_refused(location: str, serve: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Expected an https address.*" + location):
        fetch_served(tmp_path, serve(b"", status=302, location=location), b"")


@pytest.mark.parametrize("url", ["http://example.org/bank.zip", "ftp://example.org/bank.zip", "file:///etc/hostname"])
def test_only_https_is_opened(url: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Expected an https address"):
        fetch_bank_file(tmp_path, mirror=None, url=url, opener=must_not_be_called)
    with pytest.raises(SourceError, match=r"Expected an https address"):
        open_url(url, timeout=1)


def test_a_server_error_is_named_with_the_remedies(serve: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"HTTP Error 503.*LEAD_SCORING_MIRROR"):
        fetch_served(tmp_path, serve(b"", status=503), b"")


def test_a_refused_connection_is_named_with_the_remedies(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"download failed.*LEAD_SCORING_MIRROR"):
        fetch_served(tmp_path, "http://127.0.0.1:9/bank.zip", b"")


def test_a_download_cut_short_is_refused(serve: Callable[..., str], tmp_path: Path) -> None:
    archive = zipped({"bank.zip": zipped({BANK_FILE_NAME: SMALL_FILE})})
    with pytest.raises(SourceError, match=rf"Expected sha256 {sha256(archive)}; found sha256 \w+ \(100 bytes\)"):
        fetch_served(tmp_path, serve(archive[:100], announced=len(archive)), archive)
    assert not (tmp_path / "downloads").exists()


def test_an_archive_with_another_checksum_is_refused_before_it_is_opened(
    serve: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"Expected sha256 e3b0c4\w+; found sha256"):
        fetch_served(tmp_path, serve(b"not a zip"), b"")


def test_a_file_with_another_checksum_in_the_archive_is_refused(serve: Callable[..., str], tmp_path: Path) -> None:
    archive = zipped({"bank.zip": zipped({BANK_FILE_NAME: SMALL_FILE})})
    with pytest.raises(SourceError, match=r"Expected sha256 .* in http.*bank\.zip > bank-full\.csv"):
        fetch_served(tmp_path, serve(archive), archive, content=b"another")
    assert not (tmp_path / "downloads").exists()


@pytest.mark.parametrize(
    "archive",
    [
        b"not a zip",
        zipped({"other.zip": b""}),
        zipped({"bank.zip": b"not a zip"}),
        zipped({"bank.zip": zipped({"bank.csv": SMALL_FILE})}),
    ],
)
def test_an_archive_of_another_shape_is_refused(archive: bytes, serve: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Expected a zip archive that holds bank"):
        fetch_served(tmp_path, serve(archive), archive)


def test_an_oversized_download_is_refused(serve: Callable[..., str], tmp_path: Path) -> None:
    archive = bytes(8 * 2**20 + 1)
    with pytest.raises(SourceError, match=r"at most 8,388,608 bytes; found more than that; in http"):
        fetch_served(tmp_path, serve(archive), archive)


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_zip_bomb_is_refused(is_nested: bool, serve: Callable[..., str], tmp_path: Path) -> None:
    zeros = bytes(17 * 2**20)
    archive = zipped({"bank.zip": zipped({BANK_FILE_NAME: zeros}) if is_nested else zeros})
    assert len(archive) < 100_000
    with pytest.raises(SourceError, match=r"at most [\d,]+ bytes; found more than that; in .*bank\.zip"):
        fetch_served(tmp_path, serve(archive), archive, content=zeros)
    assert not (tmp_path / "downloads").exists()


# --- Writing whole or not at all


KILLED_BEFORE_THE_RENAME = """
import os, signal, sys
from pathlib import Path
from lead_scoring_assets.leads.bank import fetch_bank_file
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
fetch_bank_file(Path(sys.argv[1]), mirror=Path(sys.argv[2]))
"""


def test_a_fetch_killed_half_way_leaves_nothing_under_the_final_name(bank_mirror: Path, tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_THE_RENAME, str(tmp_path), str(bank_mirror)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".")
    assert not left[0].endswith(".csv")
    fetched = fetch_bank_file(tmp_path, mirror=bank_mirror)
    assert sha256(fetched.read_bytes()) == BANK_FILE_SHA256


def test_a_failed_write_keeps_the_old_file_and_cleans_up(
    bank_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> NoReturn:
        raise OSError("No space left on device")

    (tmp_path / BANK_FILE_NAME).write_bytes(SMALL_FILE)
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        fetch_bank_file(tmp_path, mirror=bank_mirror)
    assert [path.name for path in tmp_path.iterdir()] == [BANK_FILE_NAME]
    assert (tmp_path / BANK_FILE_NAME).read_bytes() == SMALL_FILE
