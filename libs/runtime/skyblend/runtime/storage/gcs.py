"""The bucket in Cloud Storage: its generations are the objects' own, its preconditions the
server's."""

import io
import secrets
from collections.abc import Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

from skyblend.runtime.storage import Absent, Changed, Listed, StorageError, Stored
from skyblend.runtime.storage.gcs_calls import PATIENCE, TIMEOUT, Tries, connect, told
from skyblend.runtime.storage.gcs_streams import PIECE, Onward, check, crc_of, ranged, read_fully
from skyblend.runtime.storage.names import check as check_name
from skyblend.runtime.storage.names import problem

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket  # type: ignore[import-untyped]

# ruff: noqa: PLC0415 - the Google clients are imported where they are used
# Every write carries a word of its own in the object's metadata: where the answer to a write was
# lost and its repeat is told that another generation stands there, the word says whose it is.
_WRITE = "skyblend-write"
_TYPE = "application/octet-stream"
_FIELDS = "items(name,generation,size),nextPageToken"


class GcsStorage:
    """Objects in the bucket of that name. The client is made at the first call, with the
    credentials of the surroundings; a call that fails for a while is tried again for `patience`
    seconds. What is larger than a `piece` of bytes is sent and read by pieces."""

    def __init__(
        self, bucket: str, *, project: str, patience: float = PATIENCE, piece: int = PIECE
    ) -> None:
        self.bucket, self._project = bucket, project
        self._patience, self._piece = patience, piece
        self._lock = Lock()
        self._found: Bucket | None = None

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        with self._lock:
            if self._found is not None:
                self._found.client.close()
            self._found = None

    def read(self, name: str) -> Stored:
        with told(check_name(name), "read"):
            blob = self._blob(name)
            data = self._download(blob)
        check(name, crc_of(data), blob.crc32c)
        return Stored(data, _generation(name, blob))

    def open(self, name: str) -> BinaryIO:
        """A small object is held whole, of a larger one a piece at a time; all of it is of one
        generation. Where that is replaced meanwhile and the bucket keeps no versions, reading on
        raises Changed."""
        with told(check_name(name), "read"):
            blob = self._blob(name)
            head = self._head(blob)
        if len(head) < self._piece:
            check(name, crc_of(head), blob.crc32c)
            return io.BytesIO(head)
        return self._open_large(name, _generation(name, blob))

    def generation(self, name: str) -> int:
        try:
            with told(check_name(name), "look for"):
                return _generation(name, self._reloaded(self._blob(name)))
        except Absent:
            return 0

    def write(
        self, name: str, content: bytes | BinaryIO, *, if_generation: int | None = None
    ) -> int:
        """Whoever is told Changed though its answer had been lost has been overwritten since."""
        from google.api_core.exceptions import PreconditionFailed

        tries, word = Tries(self._patience), secrets.token_hex(16)
        try:
            with told(check_name(name), "write"):
                blob = self._blob(name)
                blob.metadata = {_WRITE: word}
                try:
                    self._send(blob, content, if_generation_match=if_generation, retry=tries)
                except PreconditionFailed:
                    if not (tries.again and (blob := self._written(name, word))):
                        raise
        except Absent as error:
            raise StorageError(name, "the upload was given up by Cloud Storage") from error
        except ValueError as error:  # so the client says that less was taken than it had sent
            raise StorageError(name, f"the upload broke off: {error}") from error
        return _generation(name, blob)

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """A deletion whose answer was lost counts as done where nothing stands there any more."""
        tries = Tries(self._patience)
        try:
            with told(check_name(name), "delete"):
                blob = self._blob(name)
                blob.delete(if_generation_match=if_generation, timeout=TIMEOUT, retry=tries)
        except Absent as absent:
            if if_generation and not tries.again:
                gone = f"expected generation {if_generation}, got none"
                raise Changed(name, gone) from absent

    def list(self, prefix: str) -> Iterator[Listed]:
        """Names that are none of ours, such as a folder's that the console made, are passed
        over."""
        shown = f"{prefix}*"
        with told(shown, "list"):
            pages = self._bucket().list_blobs(
                prefix=prefix, fields=_FIELDS, timeout=TIMEOUT, retry=Tries(self._patience)
            )
            blobs = iter(pages)
        while True:
            try:
                with told(shown, "list"):
                    blob = next(blobs, None)
            except Absent as absent:
                raise StorageError(shown, "there is no such bucket") from absent
            if blob is None:
                return
            if problem(blob.name) is None:
                yield Listed(blob.name, blob.generation, blob.size)

    def _bucket(self) -> "Bucket":
        with self._lock:
            if self._found is None:
                self._found = connect(self._project).bucket(self.bucket)
            return self._found

    def _blob(self, name: str, generation: int | None = None) -> "Blob":
        return self._bucket().blob(name, generation=generation, chunk_size=None)

    def _download(self, blob: "Blob", **ends: int) -> bytes:
        """The bytes as they are stored, in one request: one that breaks off begins anew, so bytes,
        generation and checksum always belong together. The client's own check would hold the new
        bytes to the checksum of the answer that broke off."""
        found: bytes = blob.download_as_bytes(
            raw_download=True,
            single_shot_download=True,
            checksum=None,
            timeout=TIMEOUT,
            retry=Tries(self._patience),
            **ends,
        )
        return found

    def _head(self, blob: "Blob") -> bytes:
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        try:
            return self._download(blob, start=0, end=self._piece - 1)
        except RequestRangeNotSatisfiable:  # so Cloud Storage says that an object is empty
            return b""

    def _open_large(self, name: str, generation: int) -> BinaryIO:
        pinned = self._blob(name, generation)
        try:
            with told(name, "read"):
                known = self._reloaded(self._blob(name, generation))
        except Absent:  # replaced since its head was read
            return self.open(name)

        def fetch(start: int, end: int) -> bytes:
            try:
                with told(name, "read"):
                    return self._download(pinned, start=start, end=end - 1)
            except Absent as error:
                raise Changed(name, f"generation {generation} was replaced meanwhile") from error

        return ranged(name, known.size, fetch, piece=self._piece, crc32c=known.crc32c)

    def _send(self, blob: "Blob", content: bytes | BinaryIO, **options: Any) -> None:
        """Send bytes in one request, more than a piece of them by pieces."""
        options |= {"timeout": TIMEOUT, "checksum": "crc32c", "content_type": _TYPE}
        if isinstance(content, bytes):
            content = io.BytesIO(content)
        head = read_fully(content, self._piece + 1)
        if len(head) > self._piece:
            blob.chunk_size = self._piece
            blob.upload_from_file(Onward(head, content), **options)
        else:
            blob.upload_from_file(io.BytesIO(head), size=len(head), **options)

    def _reloaded(self, blob: "Blob") -> "Blob":
        blob.reload(timeout=TIMEOUT, retry=Tries(self._patience))
        return blob

    def _written(self, name: str, word: str) -> "Blob | None":
        """What stands there, if it is the write of that word."""
        from google.api_core.exceptions import NotFound

        try:
            found = self._reloaded(self._blob(name))
        except NotFound:
            return None
        return found if (found.metadata or {}).get(_WRITE) == word else None


def _generation(name: str, blob: "Blob") -> int:
    """The generation that an answer told; servers that tell none keep no promise of ours."""
    if not blob.generation:
        raise StorageError(name, "expected an answer with the object's generation, got none")
    return int(blob.generation)
