"""The landing folder `landing/<entity>/<period>/<file>`, on disk or in object storage: which files lie there, and their
bytes. What a file holds is not known here."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from lead_scoring_assets.contracts.columns import ENTITIES, Entity
from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.settings import Home

CHUNK_BYTES = 4 * 1024**2
_STORES = ("s3", "gs", "gcs", "abfs", "abfss")
_S3_OPTIONS = ("region", "scheme", "endpoint_override")
_ATTEMPTS = 4
_CONNECT_SECONDS, _REQUEST_SECONDS, _RETRY_SECONDS = 5, 30, 30
_REMEDY = "Correct sources.landing in lead_scoring.yaml, or mend the connection, and try again."


@dataclass(frozen=True)
class File:
    """One landed file. `name`: `<entity>/<period>/<file>`. Size and time of change tell cheaply whether it changed."""

    name: str
    size_bytes: int
    modified_ns: int

    @property
    def entity(self) -> str:
        return self.name.split("/")[0]


@dataclass(frozen=True)
class Contents:
    """All that lies in a landing folder. `files`: by period, in order of name; a period's folder may be empty.
    `strays`: names of files that lie anywhere but directly in an entity's period folder, where nothing reads them."""

    files: Mapping[str, list[File]]
    strays: list[str]


class LandedBytes:
    """The bytes of one file, as a file object. What goes wrong in the store is a SourceError, never mistaken for damage
    of the file."""

    def __init__(self, stream: pa.NativeFile, name: str, landing: "Landing") -> None:
        self._stream, self._name, self._landing = stream, name, landing

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._stream.read(None if size < 0 else size))
        except (OSError, pa.ArrowException) as problem:
            raise self._landing.unreachable(self._name, problem) from None

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Landing:
    """One landing folder. Files whose names start with a dot are still being written and do not count.

    Every method raises SourceError when the folder or the store cannot be reached.
    """

    def __init__(
        self, system: pafs.FileSystem, base: str, place: str, anchor: str | None, secrets: frozenset[str]
    ) -> None:
        """`place`: what people are told. `anchor`: what must exist when nothing is found in `base`; None: nothing."""
        self.place = place
        self._system, self._base, self._anchor, self._secrets = system, base, anchor, secrets

    @classmethod
    def of(cls, home: Home) -> Self:
        """The landing folder of an installation: the one that its settings name, else `data/landing`."""
        return cls.open(home.settings.sources.landing, home.landing, home.root)

    @classmethod
    def open(cls, named: str | None, default: Path, root: Path) -> Self:
        """A folder (relative to `root`), or s3://…, gs://…, abfs://…; None: `default`, which need not exist yet.

        A named one has to exist: a share that is not mounted must not look like an empty folder.
        """
        if named is None:
            return cls(pafs.LocalFileSystem(), str(default), str(default), None, frozenset())
        if "://" not in named or named.startswith("file://"):
            path = str(root / Path(unquote(urlsplit(named).path) if "://" in named else named).expanduser())
            return cls(pafs.LocalFileSystem(), path, path, path, frozenset())
        uri = _split(named)
        login, _, host = uri.netloc.rpartition("@")
        container = f"{login.partition(':')[0]}@" if uri.scheme.startswith("abfs") and login else ""
        place = f"{uri.scheme}://{container}{host}{uri.path}".rstrip("/")
        secrets = _secrets(uri)
        try:
            system, base = _s3(uri) if uri.scheme == "s3" else _other_store(named, uri)
        except (OSError, pa.ArrowException, ValueError) as problem:
            raise _unreachable(place, "sources.landing", problem, secrets) from None
        return cls(system, base, place, base.split("/")[0], secrets)

    def files(self, entity: Entity, period: str) -> list[File]:
        """Files of one period in order of name."""
        found = self._list(f"{entity}/{period}")
        return sorted((_file(name, info) for name, info in found if _is_landed(name, info)), key=lambda file: file.name)

    def contents(self) -> Contents:
        """Everything that lies there: one question to the store, however many periods there are."""
        files: dict[str, list[File]] = {}
        strays = []
        for name, info in sorted(self._list("", recursive=True), key=lambda found: found[0]):
            parts = name.split("/")
            if any(part.startswith(".") for part in parts):
                continue
            is_period = parts[0] in ENTITIES and len(parts) >= 2 and (len(parts) > 2 or not info.is_file)
            if is_period:
                files.setdefault(parts[1], [])
            if _is_landed(name, info):
                files[parts[1]].append(_file(name, info))
            elif info.is_file:
                strays.append(name)
        return Contents(dict(sorted(files.items())), strays)

    def periods(self) -> list[str]:
        """Names of the period folders that exist for any entity, in order."""
        return list(self.contents().files)

    def strays(self) -> list[str]:
        """Names of the files that nothing reads."""
        return self.contents().strays

    def open_bytes(self, file: File) -> LandedBytes:
        try:
            return LandedBytes(self._system.open_input_file(f"{self._base}/{file.name}"), file.name, self)
        except (OSError, pa.ArrowException) as problem:
            raise self.unreachable(file.name, problem) from None

    def put(self, name: str, content: bytes) -> None:
        """Let a file land, `<entity>/<period>/<file>`: it appears whole or not at all."""
        path = f"{self._base}/{name}"
        try:
            if isinstance(self._system, pafs.LocalFileSystem):
                write_atomically(Path(path), content)
                return
            with self._system.open_output_stream(path) as stream:
                stream.write(content)
        except (OSError, pa.ArrowException) as problem:
            raise _unreachable(self.place, name, problem, self._secrets, "written") from None

    def checksum(self, file: File) -> str:
        """SHA-256 of the file as it lies there."""
        digest = hashlib.sha256()
        with self.open_bytes(file) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    def unreachable(self, name: str, problem: Exception) -> SourceError:
        return _unreachable(self.place, name or "the folder", problem, self._secrets)

    def _list(self, folder: str, *, recursive: bool = False) -> list[tuple[str, pafs.FileInfo]]:
        """What lies below `folder`, each by its name relative to the landing folder."""
        path = f"{self._base}/{folder}" if folder else self._base
        try:
            found = self._system.get_file_info(pafs.FileSelector(path, allow_not_found=True, recursive=recursive))
            if not found and self._anchor and self._system.get_file_info(self._anchor).type == pafs.FileType.NotFound:
                raise SourceError(f"{self.place}: expected a landing folder there, found none. Create it. {_REMEDY}")
            return [(info.path.removeprefix(self._base).lstrip("/"), info) for info in found]
        except NotADirectoryError:  # a file where a period's folder could be: a stray
            return []
        except UnicodeDecodeError:
            raise SourceError(
                f"{self.place}: a file below {folder or 'it'} has a name that is not UTF-8. Rename it; "
                "`ls -b` shows which one."
            ) from None
        except (OSError, pa.ArrowException) as problem:
            raise self.unreachable(folder, problem) from None


def _is_landed(name: str, info: pafs.FileInfo) -> bool:
    parts = name.split("/")
    return bool(info.is_file and len(parts) == 3 and parts[0] in ENTITIES and not parts[2].startswith("."))


def _file(name: str, info: pafs.FileInfo) -> File:
    return File(name, int(info.size), int(info.mtime_ns or 0))


def _split(named: str) -> SplitResult:
    try:
        uri = urlsplit(named)
    except ValueError:
        raise SourceError(f"sources.landing is no address that can be read. {_REMEDY}") from None
    if uri.scheme in _STORES and not uri.netloc.rpartition("@")[2]:
        # Named here, because the client for abfs:// ends the whole process over it.
        raise SourceError(
            f"sources.landing: expected a bucket or an account after {uri.scheme}://, found none. {_REMEDY}"
        )
    if uri.scheme not in _STORES:
        raise SourceError(
            f"sources.landing: expected a folder, s3://…, gs://… or abfs://…, found {uri.scheme}://…. {_REMEDY}"
        )
    return uri


def _s3(uri: SplitResult) -> tuple[pafs.FileSystem, str]:
    """Built by hand, because an address cannot say how long to wait and how often to try."""
    options = dict(parse_qsl(uri.query))
    if unknown := sorted(set(options) - set(_S3_OPTIONS)):
        raise ValueError(f"expected the options {list(_S3_OPTIONS)}, found {unknown}")
    login, _, bucket = uri.netloc.rpartition("@")
    access_key, _, secret_key = login.partition(":")
    region = options.get("region")
    if region is None and "endpoint_override" not in options:
        region = pafs.resolve_s3_region(bucket)
    system = pafs.S3FileSystem(
        access_key=unquote(access_key) or None,
        secret_key=unquote(secret_key) or None,
        region=region,
        scheme=options.get("scheme"),
        endpoint_override=options.get("endpoint_override"),
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )
    return system, f"{bucket}/{unquote(uri.path).strip('/')}".rstrip("/")


def _other_store(named: str, uri: SplitResult) -> tuple[pafs.FileSystem, str]:
    if uri.scheme in ("gs", "gcs") and "retry_limit_seconds" not in dict(parse_qsl(uri.query)):
        named += f"{'&' if uri.query else '?'}retry_limit_seconds={_RETRY_SECONDS}"
    system, base = pafs.FileSystem.from_uri(named)
    return system, base.rstrip("/")


def _secrets(uri: SplitResult) -> frozenset[str]:
    """Texts of an address that no message may show: passwords, and every option that is not known to be harmless."""
    login = uri.netloc.rpartition("@")[0]
    found = {login, login.partition(":")[2], *(value for key, value in parse_qsl(uri.query) if key not in _S3_OPTIONS)}
    return frozenset(form for text in found if text for form in (text, unquote(text), quote(unquote(text), safe="")))


def _unreachable(place: str, name: str, problem: Exception, secrets: frozenset[str], done: str = "read") -> SourceError:
    told: Any = str(problem).strip() or type(problem).__name__
    for secret in sorted(secrets, key=len, reverse=True):
        told = told.replace(secret, "***")
    return SourceError(f"{place}: {name} cannot be {done} ({told.rstrip('.')}). {_REMEDY}")
