"""A great many photographs, inspected by the machines of a Ray cluster.

    from pcsnet import ray as fleet
    fleet.inspect("s3://line-1/photographs", "part.safetensors", "s3://line-1/inspected", workers=8, gpus=1)
    table = fleet.results("s3://line-1/inspected")                 # a pyarrow.Table, a row for each photograph

The photographs are dealt into parts of a few hundred. Ray Data hands the parts to a pool of actors (`map_batches`),
each of which holds one `Detector`; a part's results are one Parquet file, which appears whole or not at all, beside
its overlays. So nothing is lost and nothing is there twice, whoever dies: Ray starts a worker that died anew and
gives it the part again, whose file then has the same name; and where the program itself or the whole cluster died,
the same call goes on with the photographs that are in no file yet.

Folders are local ones, which all machines must see under the same path, or whatever `pyarrow.fs.FileSystem.from_uri`
takes: `s3://`, `gs://`, `hdfs://`, `file://`. It needs `pip install "pcsnet[ray]"`.
"""

import hashlib
import io
import json
import os
import posixpath
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]
import ray
from pyarrow import fs

from pcsnet import _native
from pcsnet._arguments import Progress
from pcsnet._detector import Detection, Detector
from pcsnet._errors import DeviceError, PcsnetError
from pcsnet._tasks import images

#: The columns of a part's Parquet file: those of the command's `scores.jsonl`.
SCHEMA = pa.schema([
    ("path", pa.string()),
    ("score", pa.float32()),
    ("verdict", pa.string()),
    ("lowest", pa.float32()),
    ("width", pa.uint32()),
    ("height", pa.uint32()),
    ("error", pa.string()),
    ("remarks", pa.list_(pa.string())),
    ("regions", pa.list_(pa.struct([
        ("x", pa.uint32()), ("y", pa.uint32()), ("width", pa.uint32()), ("height", pa.uint32()),
        ("area", pa.uint32()), ("peak", pa.float32()), ("mean", pa.float32())]))),
    ("overlay", pa.string()),
])

_PARTS, _OVERLAYS, _RUN = "parts", "overlays", "run.json"


def inspect(
    source: str | os.PathLike[str],
    model: str | os.PathLike[str] | list[str],
    out: str | os.PathLike[str],
    *,
    workers: int = 1,
    cpus: float = 1,
    gpus: float = 0,
    part: int = 256,
    overlays: bool = True,
    progress: Progress | None = None,
    **detector: Any,
) -> dict[str, int]:
    """Inspects all photographs in a folder and those below it that have no result in `out` yet.

    Each of `workers` actors asks Ray for so many `cpus` and `gpus`, and makes a `Detector` of `model` (a path that all
    machines see) with the other arguments. `part` is how many photographs share a file of results. `progress` is told
    `("inspecting", done, total)` in photographs. Ray is started on this machine where it was not started before.

    Gives how many photographs there are (`all`), were inspected now (`inspected`), before (`before`), and could not be
    (`failed`, of those inspected now): their rows say why.

    Raises `PcsnetError` without photographs, and for an `out` that holds the results of another model or of other
    settings.
    """
    source, out = os.fspath(source), os.fspath(out)
    target = _Folder(out)
    _ensure_same_run(target, _run_of(model, overlays, detector))
    photographs = _photographs(source)
    done = set(results(out, columns=["path"])["path"].to_pylist())
    remaining = [path for path in photographs if path not in done]
    parts = [{"paths": remaining[first:first + part]} for first in range(0, len(remaining), part)]
    inspected = failed = 0
    if parts:
        finished = ray.data.from_items(parts, override_num_blocks=len(parts)).map_batches(
            _Worker,
            fn_constructor_args=(source, model, out, overlays, detector),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(parts))),
            num_cpus=cpus,
            num_gpus=gpus,
        )
        for row in finished.iter_rows():
            inspected, failed = inspected + int(row["inspected"]), failed + int(row["failed"])
            if progress is not None:
                progress("inspecting", inspected, len(remaining))
    before = len(photographs) - len(remaining)
    return {"all": len(photographs), "before": before, "inspected": inspected, "failed": failed}


def results(out: str | os.PathLike[str], columns: list[str] | None = None) -> pa.Table:
    """The results in a folder as a table, a row for each photograph, sorted by path."""
    target = _Folder(os.fspath(out))
    schema = SCHEMA if columns is None else pa.schema([SCHEMA.field(name) for name in columns])
    tables = [pq.read_table(file, filesystem=target.system, columns=columns, schema=SCHEMA)
              for file in target.files(_PARTS) if file.endswith(".parquet")]
    table = pa.concat_tables([schema.empty_table(), *tables])
    return table.sort_by("path") if "path" in table.column_names else table


class _Worker:
    """An actor with a model."""

    def __init__(self, source: str, model: Any, out: str, overlays: bool, detector: dict[str, Any]) -> None:
        self._source, self._out, self._overlays = _Folder(source), _Folder(out), overlays
        self._detector = Detector(model, **detector)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        paths = [str(path) for paths in batch["paths"] for path in paths]
        rows = []
        for path, found in zip(paths, self._detector.stream(self._contents(paths), on_error="return")):
            if isinstance(found, DeviceError):
                # Another worker may be luckier.
                raise found
            rows.append(self._row(path, found))
        # The same photographs give the same name: done twice, a part is there once.
        name = hashlib.sha256("\0".join(paths).encode()).hexdigest()[:24]
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), buffer)
        self._out.write(f"{_PARTS}/{name}.parquet", buffer.getvalue())
        failed = sum(row["error"] is not None for row in rows)
        return {"inspected": np.array([len(rows)]), "failed": np.array([failed])}

    def _contents(self, paths: list[str]) -> Iterator[Any]:
        for path in paths:
            try:
                yield self._source.read(path), path
            except OSError:
                # Reading it once more, by its name, says why it cannot be.
                yield self._source.full(path)

    def _row(self, path: str, found: Detection | Exception) -> dict[str, Any]:
        if not isinstance(found, Detection):
            return {"path": path, "error": str(found), "remarks": []}
        overlay = None
        if self._overlays:
            overlay = f"{_OVERLAYS}/{path}.overlay.png"
            self._out.write(overlay, found.overlay_png())
        regions = None if found.regions is None else [region._asdict() for region in found.regions]
        return {**{name: value for name, value in found.to_dict().items() if name in SCHEMA.names},
                "path": path, "regions": regions, "overlay": overlay}


class _Folder:
    """A folder, here or in an object store."""

    def __init__(self, uri: str) -> None:
        self.system, path = fs.FileSystem.from_uri(uri if "://" in uri else os.path.abspath(uri))
        self._root = path.rstrip("/")

    def full(self, path: str) -> str:
        return posixpath.join(self._root, path)

    def files(self, folder: str = "") -> list[str]:
        selector = fs.FileSelector(self.full(folder), recursive=True, allow_not_found=True)
        return sorted(info.path for info in self.system.get_file_info(selector) if info.type == fs.FileType.File)

    def below(self, file: str) -> str:
        return posixpath.relpath(file, self._root)

    def read(self, path: str) -> bytes:
        with self.system.open_input_stream(self.full(path), compression=None) as stream:
            return bytes(stream.read())

    def write(self, path: str, content: bytes) -> None:
        """Writes a file that appears whole or not at all."""
        full = self.full(path)
        if not isinstance(self.system, fs.LocalFileSystem):
            # Object stores have no halves of files.
            with self.system.open_output_stream(full) as stream:
                stream.write(content)
            return
        self.system.create_dir(posixpath.dirname(full))
        temporary = posixpath.join(posixpath.dirname(full), f".pcsnet-{uuid.uuid4().hex}")
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, full)


def _photographs(source: str) -> list[str]:
    """The photographs' paths below the folder, sorted."""
    folder = _Folder(source)
    if isinstance(folder.system, fs.LocalFileSystem):
        # As the command finds them: without masks, and with a word on what is passed over.
        return [folder.below(path) for path in images(folder.full(""))]
    endings = [f".{ending}" for ending in _native.IMAGE_EXTENSIONS]
    found = [folder.below(file) for file in folder.files() if file.lower().endswith(tuple(endings))]
    if not found:
        raise PcsnetError(f"no images found in {source}; files ending in {', '.join(endings)} are taken")
    return found


def _run_of(model: Any, overlays: bool, detector: dict[str, Any]) -> dict[str, Any]:
    """What must be the same for results to stand side by side."""
    files = [model] if isinstance(model, (str, os.PathLike)) else list(model)
    hashes = []
    for file in files:
        try:
            with open(file, "rb") as content:
                hashes.append(hashlib.file_digest(content, "sha256").hexdigest())
        except OSError as error:
            raise PcsnetError(f"cannot read {os.fspath(file)}: {error.strerror}") from None
    scores = {name: detector[name] for name in sorted(detector) if name in ("precision", "tiles", "fit", "range")}
    return {"model": hashes, "overlays": overlays, **json.loads(json.dumps(scores))}


def _ensure_same_run(target: _Folder, run: dict[str, Any]) -> None:
    try:
        before = json.loads(target.read(_RUN))
    except FileNotFoundError:
        target.write(_RUN, json.dumps(run).encode())
        return
    if before != run:
        raise PcsnetError(f"{target.full('')} holds results of another model or other settings "
                          f"({json.dumps(before)}); choose another folder")
