"""The landing folder: which files lie there, on disk and in object storage, and what is said when it cannot be reached."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.leads.landing import File, Landing
from lead_scoring_assets.leads.reading import read_landed
from lead_scoring_assets.settings import Source
from lead_scoring_tests.leads.conftest import OPTIONAL, REQUIRED, whole


def opened(root: Path) -> Landing:
    return Landing.open(None, root, root)


def touched(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def test_files_of_a_period_come_in_order_without_those_being_written(tmp_path: Path) -> None:
    touched(tmp_path, *(f"leads/2008-05/{name}" for name in ("b.csv", "a.csv", ".c.csv", "z.txt", "sub/d.csv")))
    landing = opened(tmp_path)
    names = [f"leads/2008-05/{name}" for name in ("a.csv", "b.csv", "z.txt")]
    assert [file.name for file in landing.files("leads", "2008-05")] == names
    assert landing.contents().files == {"2008-05": landing.files("leads", "2008-05")}
    assert landing.files("outcomes", "2008-05") == []
    (tmp_path / "activities").mkdir()
    (tmp_path / "activities" / "2008-05").touch()
    assert landing.files("activities", "2008-05") == [], "a file where a folder could be"


def test_size_time_and_checksum_are_those_of_the_file(tmp_path: Path) -> None:
    touched(tmp_path, "leads/2008-05/a.csv")
    path = tmp_path / "leads/2008-05/a.csv"
    landing = opened(tmp_path)
    (file,) = landing.files("leads", "2008-05")
    assert file == File("leads/2008-05/a.csv", path.stat().st_size, path.stat().st_mtime_ns)
    assert landing.checksum(file) == hashlib.sha256(path.read_bytes()).hexdigest()
    with landing.open_bytes(file) as stream:
        assert stream.read() == path.read_bytes()


def test_periods_are_those_of_any_entity(tmp_path: Path) -> None:
    assert opened(tmp_path / "nowhere").periods() == []
    for folder in ("outcomes/2008-06", "leads/2008-05", "activities/2008-07", "leads/.draft", "other/2009-01"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "leads" / "file.csv").touch()
    assert opened(tmp_path).periods() == ["2008-05", "2008-06", "2008-07"]


def test_stray_files_are_all_that_nothing_reads(tmp_path: Path) -> None:
    assert opened(tmp_path / "nowhere").strays() == []
    strays = ["leads/late.csv", "leads/2008-05/sub/deep.csv", "lead/2008-05/a.csv", "top.csv"]
    touched(tmp_path, *strays, "leads/2008-05/a.csv", "outcomes/2008-05/a.csv", "activities/2008-05/a.csv")
    touched(tmp_path, "leads/.hidden.csv", "leads/.draft/a.csv")
    assert opened(tmp_path).strays() == sorted(strays)


# --- What cannot be reached


def test_a_named_folder_has_to_exist(tmp_path: Path) -> None:
    """A share that is not mounted must not look like one without files."""
    with pytest.raises(SourceError, match="box: expected a landing folder there, found none"):
        Landing.open("in box", tmp_path / "unused", tmp_path).contents()
    touched(tmp_path, "in box/leads/2008-05/a.csv")
    for named in ("in box", str(tmp_path / "in box"), f"file://{tmp_path}/in%20box"):
        landing = Landing.open(named, tmp_path / "unused", tmp_path)
        assert landing.periods() == ["2008-05"]
        assert landing.place == str(tmp_path / "in box")


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    touched(tmp_path, "leads/2008-05/a.csv")
    (tmp_path / "leads/2008-05/\udcff.csv").touch()
    with pytest.raises(SourceError, match=r"has a name that is not UTF-8\. Rename it"):
        opened(tmp_path).files("leads", "2008-05")


def test_a_file_that_has_gone_is_told(tmp_path: Path) -> None:
    touched(tmp_path, "leads/2008-05/a.csv")
    landing = opened(tmp_path)
    (file,) = landing.files("leads", "2008-05")
    (tmp_path / file.name).unlink()
    with pytest.raises(SourceError, match=r"leads/2008-05/a\.csv cannot be read .*No such file"):
        landing.checksum(file)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("hdfs://host/x", "expected a folder, s3://…, gs://… or abfs://…, found hdfs://…"),
        ("s3:///x", "expected a bucket or an account after s3://, found none"),
        ("abfs://box:secret@", "expected a bucket or an account after abfs://, found none"),
        ("s3://AKIAKEY:secret@bucket/x?colour=secret", r"s3://bucket/x: .*found \['colour'\]"),
        ("gs://bucket/x?colour=secret", "gs://bucket/x: .*Unexpected query parameter"),
        ("abfs://box:secret@host:port/x", "abfs://box@host:port/x: "),
        (
            "s3://AKIAKEY:secret@bucket/x?endpoint_override=127.0.0.1:1&scheme=http&region=r",
            "s3://bucket/x: the folder",
        ),
    ],
)
def test_an_address_that_leads_nowhere_is_told_without_its_secrets(tmp_path: Path, named: str, told: str) -> None:
    with pytest.raises(SourceError, match=told) as raised:
        Landing.open(named, tmp_path, tmp_path).contents()
    assert "secret" not in str(raised.value)
    assert "AKIAKEY" not in str(raised.value)
    assert "lead_scoring.yaml" in str(raised.value)


# --- Object storage


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An S3 server on this machine; its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def s3(store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An address of an empty landing folder in a bucket of its own."""
    import boto3

    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    client = boto3.client("s3", endpoint_url=f"http://{store}", region_name="us-east-1")
    client.create_bucket(Bucket="bucket")
    for found in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=found["Key"])
    return f"s3://bucket/in/box?endpoint_override={store}&scheme=http&region=us-east-1"


def uploaded(store: str, root: Path) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=f"http://{store}", region_name="us-east-1")
    for path in root.rglob("*"):
        if path.is_file():
            client.put_object(Bucket="bucket", Key=f"in/box/{path.relative_to(root)}", Body=path.read_bytes())


def test_the_same_files_on_disk_and_in_a_store_give_the_same(tmp_path: Path, store: str, s3: str) -> None:
    import gzip

    disk = tmp_path / "disk"
    touched(disk, "leads/stray.csv", "leads/2008-05/.writing.csv", "outcomes/2008-06/b.csv")
    text = b'id,age,note\n1,42,x\n2,43,"two\nlines"\n3,44\n' + b"4,45,z\n" * 2000
    folder = disk / "leads" / "2008-05"
    (folder / "a.csv").write_bytes(text)
    (folder / "b.csv.gz").write_bytes(gzip.compress(text))
    (folder / "c.jsonl").write_bytes(b'{"id": "1", "age": 42, "note": null}\n[]\n')
    pq.write_table(pa.table({"id": ["1", "2"], "age": [42, None], "note": ["x", "y"]}), folder / "d.parquet")
    (folder / "e.parquet").write_bytes(b"PAR1 not a table PAR1")
    uploaded(store, disk)
    here, there = opened(disk), Landing.open(s3, disk, disk)
    assert there.place == "s3://bucket/in/box"
    assert there.periods() == here.periods() == ["2008-05", "2008-06"]
    assert there.strays() == here.strays() == ["leads/stray.csv"]
    ours, theirs = here.files("leads", "2008-05"), there.files("leads", "2008-05")
    assert [(file.name, file.size_bytes) for file in theirs] == [(file.name, file.size_bytes) for file in ours]
    assert len(ours) == 5
    assert all(file.modified_ns > 0 for file in theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert there.checksum(other) == here.checksum(one)
        a = whole(read_landed(here, one, REQUIRED, OPTIONAL, Source(), block_bytes=5000))
        b = whole(read_landed(there, other, REQUIRED, OPTIONAL, Source(), block_bytes=5000))
        assert (a.cells, a.raw, a.unreadable) == (b.cells, b.raw, b.unreadable)
        assert (a.file.name, a.file.sha256, a.file.size_bytes) == (b.file.name, b.file.sha256, b.file.size_bytes)
        assert (a.file.problem, a.file.note) == (b.file.problem, b.file.note)
        assert a.rows_in or a.file.problem


def test_an_empty_folder_of_a_store_is_no_fault_but_a_missing_bucket_is(tmp_path: Path, s3: str) -> None:
    assert Landing.open(s3, tmp_path, tmp_path).contents().files == {}
    assert Landing.open(s3, tmp_path, tmp_path).files("leads", "2008-05") == []
    with pytest.raises(SourceError, match="s3://no-bucket/in/box: "):
        Landing.open(s3.replace("bucket", "no-bucket", 1), tmp_path, tmp_path).contents()


def test_an_object_that_goes_while_it_is_read_is_no_damage(tmp_path: Path, store: str, s3: str) -> None:
    import boto3

    touched(tmp_path, "leads/2008-05/a.csv.gz", "leads/2008-05/a.parquet")
    uploaded(store, tmp_path)
    landing = Landing.open(s3, tmp_path, tmp_path)
    client = boto3.client("s3", endpoint_url=f"http://{store}", region_name="us-east-1")
    for file in landing.files("leads", "2008-05"):
        with landing.open_bytes(file) as stream:
            client.delete_object(Bucket="bucket", Key=f"in/box/{file.name}")
            with pytest.raises(SourceError, match=f"{file.name} cannot be read"):
                stream.read()
        with pytest.raises(SourceError, match=f"{file.name} cannot be read"):
            whole(read_landed(landing, file, REQUIRED, OPTIONAL, Source()))


def test_what_is_put_lands_whole_on_disk_and_in_a_store(tmp_path: Path, s3: str) -> None:
    name = "outcomes/2008-05/feedback.jsonl"
    for landing in (opened(tmp_path), Landing.open(s3, tmp_path, tmp_path)):
        landing.put(name, b"one\n")
        [file] = landing.files("outcomes", "2008-05")
        assert (file.name, landing.open_bytes(file).read()) == (name, b"one\n")
    (tmp_path / "leads").write_bytes(b"")
    with pytest.raises(SourceError, match=r"leads/2008-05/x\.csv cannot be written"):
        opened(tmp_path).put("leads/2008-05/x.csv", b"")
