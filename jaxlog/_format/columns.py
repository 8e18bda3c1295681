"""The values of a metrics event as columns: one array for each key, with an entry for each lane."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from jaxlog._format.lane import NOTHING, Histogram, Lane, ReadOnlyDict

T = TypeVar("T")

Place = slice | np.ndarray
"""Some of the lanes: a range of them, or `int64[k]`, their places."""

_DTYPES = {bool: np.bool_, int: np.int64, float: np.float64}


def _empty() -> Mapping[str, Any]:
    return NOTHING


def _none() -> Any:
    return None


@dataclass(frozen=True, eq=False)
class Columns:
    """What the lanes of a metrics event logged, as read-only arrays; n is the number of lanes.

    Attributes:
      lanes: `int64[n]`, the numbers of the lanes that logged.
      labels: `[n]` by name. A label of the program has its dtype. Labels of `Logger.open(lanes=)`
        are arrays of objects, with None for a lane that lacks the label.
      values: `[n]` by key, in the order of `MetricsEvent.keys`, in the dtypes of the program. NaN
        if the metric had values and none was finite. A histogram is `[n, bins + 2]`: the number
        of values below the first edge, in each bin, and above the last edge.
      present: `bool[n]` by key, which lanes have a value, for the keys and arrays that some lanes
        lack. What a column has for the others means nothing.
      edges: the edges of the bins by key, for the keys that are histograms.
      arrays: `[n, ...]` by name, the arrays that were logged whole.
      positions: `int64[n, axes]`, the index of each lane along each lane axis if there are several
        axes; else None.
      series: `int64[n]`, as `Lane.series`.
      alone: `bool[n]`, as `Lane.alone`.
      first_labels: `object[n]`, as `Lane.first_labels`; None if this is None for all lanes.
      media: `object[n]` by name, the images and tables; None for a lane without.
    """

    # Each field has a factory, not a default: the class must have no attribute of its name, since
    # those of a part are computed when they are first looked up.
    lanes: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=_empty)
    values: Mapping[str, np.ndarray] = field(default_factory=_empty)
    present: Mapping[str, np.ndarray] = field(default_factory=_empty)
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=_empty)
    arrays: Mapping[str, np.ndarray] = field(default_factory=_empty)
    positions: np.ndarray | None = field(default_factory=_none)
    series: np.ndarray = field(default_factory=_none)
    alone: np.ndarray = field(default_factory=_none)
    first_labels: np.ndarray | None = field(default_factory=_none)
    media: Mapping[str, np.ndarray] = field(default_factory=_empty)

    def __post_init__(self) -> None:
        own, num_lanes = self.__dict__, len(self.lanes)
        for name, dtype in (("series", np.int64), ("alone", np.bool_)):
            if own[name] is None:
                own[name] = np.zeros(num_lanes, dtype)
        for value in own.values():
            for array in value.values() if isinstance(value, Mapping) else (value,):
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False

    def __len__(self) -> int:
        """The number of lanes."""
        return len(self.lanes)

    def rows(self) -> tuple[Lane, ...]:
        """The same values as one `Lane` for each lane. They are made once, when first needed."""
        own = self.__dict__
        if "_rows" not in own:
            rows = tuple(self.for_each_lane(_rows))
            own.setdefault("_rows", rows)  # another thread may have made them, too
        return own["_rows"]

    @cached_property
    def has_dtypes(self) -> bool:
        """True if all values are numbers of a dtype, and only labels can be objects."""
        values, labels = self.values.values(), self.labels.values()
        return all(column.dtype.kind in "biufV" for column in values) and all(
            column.dtype.kind in "biufVO" for column in labels
        )

    @property
    def whole(self) -> Columns:
        """The columns that these are a part of, or these."""
        return self.__dict__["_part_of"][0] if "_part_of" in self.__dict__ else self

    def part(self, place: Place, together: Together | None = None) -> Columns:
        """The columns of some of the lanes, each of which is taken when it is first used.

        Args:
          place: the lanes.
          together: makes what is made for each lane of this part with that of other parts.
        """
        made = object.__new__(Columns)
        made.__dict__["_part_of"] = self, place
        if together is not None:
            made.__dict__["_together"] = together
        return made

    def for_each_lane(self, make: Callable[[Columns], list[T]]) -> list[T]:
        """Returns what a function makes for each lane, together with that of other parts."""
        together = self.__dict__.get("_together")
        found = None if together is None else together.take(make, self.__dict__["_part_of"][1])
        return make(self) if found is None else found

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            own = self.__dict__
            if name not in _FIELDS or "_part_of" not in own:
                return object.__getattribute__(self, name)  # raises AttributeError
            whole, place = own["_part_of"]
            found = getattr(whole, name)
            if name != "edges":
                found = _taken(found, place)
            return own.setdefault(name, found)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def of(cls, lanes: Sequence[Lane], keys: Iterable[str] = ()) -> Columns:
        """The columns of some rows.

        A key or label whose values have several types is an array of objects.

        Args:
          lanes: the rows.
          keys: the order of the keys; others follow.
        """
        lanes = tuple(lanes)
        values, present, edges = _columns([lane.values for lane in lanes], keys)
        arrays, arrays_present, _ = _columns([lane.arrays for lane in lanes])
        labels, labels_present, _ = _columns([lane.labels for lane in lanes])
        for name, known in labels_present.items():
            # Not `astype(object)`, which makes Python's floats of float32.
            pairs = zip(labels[name], known.tolist(), strict=True)
            labels[name] = _objects([value if has else None for value, has in pairs])
        positions = {len(lane.position) for lane in lanes}
        first = [lane.first_labels for lane in lanes]
        made = cls(
            np.array([lane.index for lane in lanes], np.int64),
            ReadOnlyDict(labels),
            ReadOnlyDict(values),
            ReadOnlyDict(present | arrays_present),
            ReadOnlyDict(edges),
            ReadOnlyDict(arrays),
            np.array([lane.position for lane in lanes], np.int64)
            if len(positions) == 1 and positions != {0}
            else None,
            np.array([lane.series for lane in lanes], np.int64),
            np.array([lane.alone for lane in lanes], np.bool_),
            _objects(first) if any(one is not None for one in first) else None,
            ReadOnlyDict(_media([lane.media for lane in lanes])),
        )
        made.__dict__["_rows"] = lanes
        return made


_FIELDS = tuple(one.name for one in dataclasses.fields(Columns))


class Together:
    """Makes something for each lane of many small parts at once: one by one takes longer.

    Everything is handed out once, so that nobody who keeps one part keeps what was made for others.

    Args:
      columns: the columns that the parts are parts of.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._lock = threading.Lock()  # each sink asks on its own thread
        self._made: dict[Callable[[Columns], list[Any]], list[Any]] = {}

    def take(self, make: Callable[[Columns], list[T]], place: Place) -> list[T] | None:
        """What a function makes for each lane of a part; None if it was handed out before."""
        with self._lock:
            if make not in self._made:
                self._made[make] = make(self._columns)
            made = self._made[make]
            if isinstance(place, slice):
                found = made[place]
                made[place] = [None] * len(found)
            else:
                places = place.tolist()
                found = [made[i] for i in places]
                for i in places:
                    made[i] = None
        return None if found and found[0] is None else found


def _taken(value: Any, place: Place) -> Any:
    if isinstance(value, Mapping):
        return ReadOnlyDict({key: _taken(column, place) for key, column in value.items()})
    if value is None:
        return None
    found = value[place]
    found.flags.writeable = False
    return found


def _rows(columns: Columns) -> list[Lane]:
    num_lanes = len(columns)
    positions = () if columns.positions is None else map(tuple, columns.positions.tolist())
    first = columns.first_labels
    return list(
        map(
            _lane,
            columns.lanes.tolist(),
            label_rows(columns.labels, num_lanes),
            _value_rows(columns),
            positions or repeat(()),
            columns.series.tolist(),
            columns.alone.tolist(),
            repeat(None) if first is None else first,
            _array_rows(columns),
            label_rows(columns.media, num_lanes),
        )
    )


def _lane(*values: Any) -> Lane:
    lane = _new(Lane)
    # Its constructor, which sets one attribute after the other, takes three times as long.
    lane.__dict__.update(zip(_OF_LANE, values, strict=True))
    return lane


_new = object.__new__
_OF_LANE = tuple(one.name for one in dataclasses.fields(Lane))


def label_rows(labels: Mapping[str, np.ndarray], num_lanes: int) -> list[ReadOnlyDict]:
    """The labels of each lane, as in `Columns.labels`, or its media, as mappings."""
    rows = _dicts(labels, num_lanes)
    for key, column in labels.items():
        if column.dtype == object:
            for row in rows:
                if row[key] is None:
                    dict.__delitem__(row, key)
    return rows


def _dicts(columns: Mapping[str, Iterable[Any]], num_lanes: int) -> list[ReadOnlyDict]:
    """A mapping for each row of some columns."""
    if not columns:
        return [NOTHING] * num_lanes
    keys = tuple(columns)
    return [
        ReadOnlyDict(zip(keys, row, strict=True)) for row in zip(*columns.values(), strict=True)
    ]


def _value_rows(columns: Columns) -> list[ReadOnlyDict]:
    values = {
        key: _histograms(column, columns.edges[key]) if key in columns.edges else column
        for key, column in columns.values.items()
    }
    return _without_absent(_dicts(values, len(columns)), values, columns.present)


def _array_rows(columns: Columns) -> list[ReadOnlyDict]:
    arrays = {
        # An entry of an array of objects is an array, and a row without axes has to be one, too.
        name: array if array.dtype == object else [array[i, ...] for i in range(len(array))]
        for name, array in columns.arrays.items()
    }
    return _without_absent(_dicts(arrays, len(columns)), arrays, columns.present)


def _without_absent(
    rows: list[ReadOnlyDict], keys: Iterable[str], present: Mapping[str, np.ndarray]
) -> list[ReadOnlyDict]:
    for key in keys:
        if key in present:
            for row in np.flatnonzero(~present[key]).tolist():
                dict.__delitem__(rows[row], key)  # nobody else has it yet
    return rows


def _histograms(counts: np.ndarray, edges: tuple[float, ...]) -> Iterator[Histogram]:
    for below, *inside, above in counts.tolist():
        yield Histogram(edges, tuple(inside), below, above)


def _columns(
    rows: Sequence[Mapping[str, Any]], order: Iterable[str] = ()
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, tuple[float, ...]]]:
    """The columns of some mappings, which of them have a value, and the edges of histograms."""
    known = dict.fromkeys(key for row in rows for key in row)
    names = [key for key in order if key in known]
    columns, present, edges = {}, {}, {}
    for name in dict.fromkeys([*names, *known]):
        has = np.array([name in row for row in rows], np.bool_)
        found = [row[name] for row in rows if name in row]
        if (
            all(isinstance(one, Histogram) for one in found)
            and len({(one.edges, len(one.counts)) for one in found}) == 1
        ):
            edges[name] = found[0].edges
            own = np.array([(one.below, *one.counts, one.above) for one in found], np.int64)
        else:
            own = _column(found)
        if len(own) == len(rows):
            columns[name] = own
        else:
            present[name] = has
            columns[name] = np.zeros((len(rows), *own.shape[1:]), own.dtype)
            columns[name][has] = own
    return columns, present, edges


def _column(found: Sequence[Any]) -> np.ndarray:
    """An array of some values: of their type, or of objects if they have several or no dtype."""
    kinds = {(type(one), getattr(one, "dtype", None), getattr(one, "shape", ())) for one in found}
    (kind, dtype, _), *others = kinds
    if not others and dtype is not None and dtype.kind not in "US":
        return np.stack([np.asarray(one) for one in found])
    if not others and kind in _DTYPES:
        try:
            return np.array(found, _DTYPES[kind])
        except OverflowError:  # an integer of Python that needs more bits
            pass
    return _objects(found)


def _media(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _objects([row.get(name) for row in rows]) for name in names}


def _objects(found: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(found), object)
    for i, one in enumerate(found):
        array[i] = one
    return array
