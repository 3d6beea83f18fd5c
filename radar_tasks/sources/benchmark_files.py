"""The rows of a benchmark: one file, a folder of files, or a data set of `datasets` on disk or on the Hub."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from radar_tasks.errors import DataError
from radar_tasks.sources.record_files import Record, RecordFile, open_records

ENDINGS = (".parquet", ".jsonl", ".tsv", ".csv", ".json")
SPLITS = {"train", "validation", "val", "dev", "test"}
CONFIG = "config"
"""The column in which a row says of which configuration of its data set it is."""


def open_benchmark(location: str, configs: Sequence[str] = (), split: str = "") -> RecordFile:
    """The rows of a benchmark.

    Args:
        location: a file, a folder, or the name of a data set on the Hub.
        configs: the configurations to take, one after the other; empty for the default one.
        split: the split to take.

    Raises:
        DataError: there is no such thing, or not that configuration or split of it.
    """
    path = Path(location).expanduser()
    saved = (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()
    if configs and (saved or path.is_file()):
        raise DataError(f"{location} has no configurations: leave --config {' '.join(configs)} out")
    if split and path.is_file():
        raise DataError(f"{location} is one file and has no splits: leave --split {split} out")
    if path.is_file():
        return open_records(path)
    if saved:
        return SavedDataset(path, split)
    if path.is_dir():
        return BenchmarkFolder(path, configs, split)
    if path.exists() or path.suffix.lower() in ENDINGS or location.count("/") != 1:
        raise DataError(f"{location} is neither a file, nor a folder, nor a data set on the Hub (OWNER/NAME)")
    return HubDataset(location, configs, split)


class BenchmarkFolder(RecordFile):
    """The tables of a folder as one, in the order of their names; all are of one format.

    A copy of a repository of the Hub keeps configurations in folders or in the files' names, and splits in the
    beginning of the names (`data/test-00000-of-00002.parquet`).
    """

    def __init__(self, folder: Path, configs: Sequence[str], split: str) -> None:
        super().__init__(folder)
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
        files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
        ending = next((ending for ending in ENDINGS if any(file.suffix.lower() == ending for file in files)), "")
        files = [file for file in files if file.suffix.lower() == ending]
        if not files:
            raise DataError(f"{folder} holds no {', '.join(ENDINGS)} file")
        if split:
            files = self._some(files, [split], "split")
        elif len(splits := {self._first_part(file) for file in files} & SPLITS) > 1:
            raise DataError(f"{folder} holds several splits ({', '.join(sorted(splits))}): say which with --split")
        self._files = [(config, file) for config in configs for file in self._some(files, [config], "configuration")]
        self._files = self._files or [("", file) for file in files]
        self.pictures_are_text = ending in (".tsv", ".csv")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of all files, in order of appearance."""
        names = [name for _, file in self._files for name in open_records(file).columns]
        return tuple(dict.fromkeys([*names, CONFIG] if self._files[0][0] else names))

    def records(self, columns: Collection[str] | None = None) -> Iterator[Record]:
        """See `RecordFile.records`; rows are numbered through, each says in which file it stands."""
        number = 0
        for config, file in self._files:
            name = file.relative_to(self.path).as_posix()
            for record in open_records(file).records(columns):
                number += 1
                values = {**record.values, CONFIG: config} if config else record.values
                yield replace(record, number=number, where=f"{name}, row {record.number}", values=values)

    def fingerprint(self) -> str:
        """Digest of names, sizes and dates."""
        return "\n".join(f"{config}\0{open_records(file).fingerprint()}" for config, file in self._files)

    def _some(self, files: list[Path], names: Sequence[str], what: str) -> list[Path]:
        found = [file for file in files if any(self._is_of(file, name) for name in names)]
        if not found:
            raise DataError(f"{self.path} holds no file of the {what} {', '.join(names)}: {_few(files)}")
        return found

    def _is_of(self, file: Path, name: str) -> bool:
        parts = file.relative_to(self.path).parts
        return name in parts[:-1] or self._first_part(file) == name or file.stem == name

    @staticmethod
    def _first_part(file: Path) -> str:
        return file.stem.split("-", 1)[0]


class SavedDataset(RecordFile):
    """What `save_to_disk` of `datasets` wrote. Pictures stay the files they were."""

    def __init__(self, folder: Path, split: str) -> None:
        super().__init__(folder)
        import datasets

        try:
            data: Any = datasets.load_from_disk(str(folder))
        except Exception as error:  # a damaged folder makes pyarrow and json raise what they like
            raise DataError(f"{folder} cannot be read: {error}") from error
        if isinstance(data, dict):
            if split not in data and (split or len(data) > 1):
                raise DataError(f"{folder} holds the splits {', '.join(data)}: say which with --split")
            data = data[split] if split else next(iter(data.values()))
        self._data = data

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data set."""
        return tuple(self._data.column_names)

    def records(self, columns: Collection[str] | None = None) -> Iterator[Record]:
        """See `RecordFile.records`."""
        wanted = [name for name in self.columns if columns is None or name in columns]
        rows = self._data.select_columns(wanted or self.columns[:1]).to_iterable_dataset().decode(False)
        for number, row in enumerate(rows, 1):
            yield Record(number, self._where(number), _there(row, wanted))

    def fingerprint(self) -> str:
        """The fingerprint that `datasets` keeps of the data."""
        return str(self._data._fingerprint)


class HubDataset(RecordFile):
    """A data set on the Hub, streamed. Pictures stay the files they were."""

    def __init__(self, name: str, configs: Sequence[str], split: str) -> None:
        super().__init__(Path(name))
        self._name = name
        self._configs = tuple(configs)
        self._split = split

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of the first configuration."""
        rows = self._rows(self._configs[0] if self._configs else None)
        names = rows.column_names or list(next(iter(rows), {}))
        return tuple(dict.fromkeys([*names, CONFIG] if self._configs else names))

    def records(self, columns: Collection[str] | None = None) -> Iterator[Record]:
        """See `RecordFile.records`."""
        number = 0
        for config in self._configs or (None,):
            rows = self._rows(config)
            if columns is not None and rows.column_names:
                rows = rows.select_columns([name for name in rows.column_names if name in columns])
            where = f"{self._name}{f', {config}' if config else ''}"
            for k, row in enumerate(self._read(rows.decode(False)), 1):
                number += 1
                values = _there(row, columns if columns is not None else tuple(row))
                yield Record(number, f"{where}, row {k}", {**values, CONFIG: config} if config else values)

    def fingerprint(self) -> str:
        """Name, configurations, split, and the commit that the Hub has now where it says so."""
        import huggingface_hub

        try:
            commit = huggingface_hub.HfApi().dataset_info(self._name).sha
        except Exception:  # offline, with a cached copy: the name has to do
            commit = ""
        return f"{self._name}\0{self._configs}\0{self._split}\0{commit}"

    def _rows(self, config: str | None) -> Any:
        import datasets

        try:
            found: Any = datasets.load_dataset(self._name, config, split=self._split or None, streaming=True)
        except Exception as error:  # the Hub's client has a hundred ways to say that something is not there
            raise DataError(
                f"the data set {self._name} ({config or 'default'}, {self._split or 'only split'}) cannot be loaded: "
                f"{error}\nWithout the Hub, give a local copy: --from FOLDER"
            ) from error
        if isinstance(found, dict):
            if len(found) > 1:
                raise DataError(f"{self._name} has the splits {', '.join(found)}: say which with --split")
            found = next(iter(found.values()))
        return found

    def _read(self, rows: Any) -> Iterator[dict[str, Any]]:
        try:
            yield from rows
        except Exception as error:  # a broken connection, a shard that is not what its schema says
            raise DataError(f"{self._name} cannot be read on: {error}") from error


def _there(row: dict[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    return {
        name: value
        for name, value in row.items()
        if name in wanted and value is not None and not (isinstance(value, float) and value != value)  # noqa: PLR0124
    }


def _few(files: Sequence[Path]) -> str:
    names = [file.name for file in files[:5]]
    return ", ".join(names) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
