from __future__ import annotations

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._program import devices
from jaxlog._program.statistics import stacked_moments
from jaxlog.statistics import Moments

DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.int8, np.int32, np.uint8, np.bool_]
SHAPES = [(1,), (2,), (50,), (4, 9), (2, 3, 5)]  # few, since each is compiled
ORACLE = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max}

of = jax.jit(Moments.of)
merge = jax.jit(Moments.merge)


@jax.jit
def across(values: jax.Array, masks: jax.Array) -> Moments:
    """The moments of some shares, as the first of them has them."""
    share = jax.vmap(lambda v, m: Moments.of(v, m).across("share"), axis_name="share")
    return jax.tree.map(lambda leaf: leaf[0], share(values, masks))


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """An array, and a mask of its shape that keeps none, all, one or some."""
    shape = draw(st.sampled_from(SHAPES))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    offset = draw(st.sampled_from([0.0, 1.0, 1e4, 1e6])) if dtype == np.float32 else 0.0
    # Far from 1, squares of what float32 holds are not in it: 1e-25 and 1e38 are.
    far: list[float] = [] if offset else [1e-25, 5e37]
    scale = draw(st.sampled_from([0.0, 1.0, 30.0, *far]))
    values = rng.normal(size=shape) * (scale if dtype == np.float32 else min(scale, 30.0)) + offset
    values = (values > 0) if dtype == np.bool_ else np.abs(values).astype(dtype)
    kind = draw(st.sampled_from(["none", "all", "one", "some"]))
    mask = {
        "none": np.zeros(shape, bool),
        "all": np.ones(shape, bool),
        "one": np.arange(values.size).reshape(shape) == rng.integers(values.size),
        "some": rng.random(shape) < 0.5,
    }[kind]
    return values, mask


def assert_moments(moments: Moments, values: np.ndarray) -> None:
    """Holds moments against NumPy in float64."""
    assert int(moments.count) == values.size
    if values.size == 0:
        return
    exact = values.astype(np.float64)
    # What float32 can tell apart at this size, a few times over.
    resolution = 1e-6 * float(np.abs(exact).max()) + 1e-30
    for name, oracle in ORACLE.items():
        got = float(getattr(moments, name))
        assert got == pytest.approx(oracle(exact), rel=1e-5, abs=resolution), name


@given(batches())
def test_of_equals_numpy_on_what_the_mask_keeps(batch: tuple[np.ndarray, np.ndarray]) -> None:
    values, mask = batch
    assert_moments(of(values, mask), values[mask])
    assert_moments(of(values), values)


@given(batches(), st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=4))
def test_what_is_not_finite_is_counted_and_left_out(
    batch: tuple[np.ndarray, np.ndarray], bad: list[float]
) -> None:
    values, mask = batch
    values = values.astype(np.float32)
    at = np.random.default_rng(0).permutation(values.size)[: len(bad)]
    values.ravel()[at] = bad[: len(at)]
    finite = np.isfinite(values)
    moments = of(values, mask)
    assert int(moments.nonfinite) == (mask & ~finite).sum()
    assert_moments(moments, values[mask & finite])


@given(batches(), st.integers(0, 10**9))
def test_merging_parts_gives_the_whole(batch: tuple[np.ndarray, np.ndarray], cut_seed: int) -> None:
    values, mask = batch
    part = np.random.default_rng(cut_seed).integers(0, 3, size=mask.shape)
    a, b, c = (of(values, mask & (part == i)) for i in range(3))
    for merged in (
        merge(merge(a, b), c),
        merge(a, merge(b, c)),
        merge(merge(c, a), b),
        merge(merge(Moments.empty(), a), merge(c, b)),
        across(np.stack([values] * 3), np.stack([mask & (part == i) for i in range(3)])),
    ):
        assert_moments(merged, values[mask])


def test_empty_is_neutral() -> None:
    moments = Moments.of(jnp.array([1.0, 5.0]))
    for merged in (moments.merge(Moments.empty()), Moments.empty().merge(moments)):
        assert jax.tree.map(float, merged) == jax.tree.map(float, moments)


@pytest.mark.parametrize("size", [10, 10_000, 4_000_000])
def test_a_large_offset_does_not_spoil_the_spread(size: int) -> None:
    values = (np.random.default_rng(0).normal(size=size) + 1e4).astype(np.float32)
    moments = Moments.of(values)
    exact = values.astype(np.float64)
    assert float(moments.mean) == pytest.approx(exact.mean(), rel=2e-7)
    assert float(moments.std) == pytest.approx(exact.std(), rel=1e-4)


@pytest.mark.parametrize("shape", [(65_537,), (98_304,), (7, 20_000)])
@pytest.mark.parametrize("masked", [False, True])
def test_block_by_block_gives_the_same(
    shape: tuple[int, ...], masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "float": rng.normal(size=shape).astype(np.float32) + 1e3,
        "int": rng.integers(-(2**31), 2**31, size=shape, dtype=np.int32),
        "bool": rng.random(shape) < 0.1,
    }
    arrays["float"].flat[[0, 40_000, -1]] = np.nan
    mask = rng.random(shape) < 0.5
    mask.flat[[0, 40_000, -1]] = True
    found = {}
    for one_cpu in (False, True):
        monkeypatch.setattr(devices, "one_cpu", lambda one_cpu=one_cpu: one_cpu)
        program = jax.jit(lambda a, m: stacked_moments(a, m if masked else None))
        assert ("while" in program.lower(arrays, mask).as_text()) == one_cpu
        found[one_cpu] = program(arrays, mask)
    for moments in found.values():
        for i, key in enumerate(sorted(arrays)):  # jit sorts them
            kept = arrays[key][mask] if masked else arrays[key].ravel()
            own = jax.tree.map(lambda leaf, i=i: leaf[i], moments["float32"])
            assert int(own.nonfinite) == (3 if key == "float" else 0)
            assert_moments(own, kept[np.isfinite(kept)])


@pytest.mark.parametrize("rows", [(40,), (3, 70_000)])  # below and above the size of the blocks
@pytest.mark.parametrize("masked", [False, True])
def test_parts_are_reduced_each_by_itself(
    rows: tuple[int, ...], masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone and as lanes, on one CPU and on a device that may be one of several."""
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    values = rng.normal(1e3, 1.0, (2, *rows, 3)).astype(np.float32)
    values[0, ..., 1].flat[[0, -1]] = np.nan
    mask = rng.random((2, *rows)) < 0.5
    mask[0].flat[[0, -1]] = True

    def one(values: jax.Array, mask: jax.Array) -> Moments:
        return stacked_moments({names: values}, mask if masked else None)["float32"]

    for one_cpu in (False, True):
        monkeypatch.setattr(devices, "one_cpu", lambda one_cpu=one_cpu: one_cpu)
        lanes = jax.jit(lambda v, m: jax.vmap(one)(v, m))(values, mask)
        alone = jax.jit(lambda v, m: one(v, m))(values[0], mask[0])
        for lane in range(2):
            for part in range(3):
                kept = values[lane, ..., part]
                kept = kept[mask[lane]] if masked else kept.ravel()
                own = jax.tree.map(lambda leaf, at=(lane, part): leaf[at], lanes)
                assert_moments(own, kept[np.isfinite(kept)])
                assert int(own.nonfinite) == (2 if (lane, part) == (0, 1) else 0)
                if lane == 0:
                    assert_moments(
                        jax.tree.map(lambda leaf, part=part: leaf[part], alone),
                        kept[np.isfinite(kept)],
                    )


def test_an_array_of_parts_is_transposed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "one_cpu", lambda: True)

    def spread(values: jax.Array, mask: jax.Array) -> jax.Array:
        return stacked_moments({("a", "b", "c"): values}, mask)["float32"].std

    program = jax.jit(spread).lower(jnp.ones((1000, 3)), jnp.ones(1000, bool)).compile()
    assert str(program.as_text()).count(" transpose(") == 1


def test_parts_have_the_gradient_of_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "one_cpu", lambda: True)
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    mask = np.arange(50) % 3 > 0

    def together(values: jax.Array) -> jax.Array:
        return stacked_moments({("a", "b", "c"): values}, jnp.asarray(mask))["float32"].std.sum()

    def alone(values: jax.Array) -> jax.Array:
        return sum(Moments.of(values[:, i], jnp.asarray(mask)).std for i in range(3))  # type: ignore[return-value]

    np.testing.assert_allclose(jax.grad(together)(values), jax.grad(alone)(values), rtol=1e-5)


@pytest.mark.parametrize("check_vma", [True, False])
def test_large_batches_under_shard_map_on_one_cpu(
    check_vma: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    mesh, own = jax.make_mesh((1,), ("d",), devices=jax.devices()[:1]), jax.P("d")
    values = np.random.default_rng(0).normal(size=(100_000, 3)).astype(np.float32)

    def program(values: jax.Array) -> Moments:
        arrays = {("a", "b", "c"): values, "first": values[:, 0]}
        return stacked_moments(arrays, None)["float32"]

    divided = jax.shard_map(program, mesh=mesh, in_specs=own, out_specs=own, check_vma=check_vma)
    there = jax.device_put(values, jax.NamedSharding(mesh, own))
    found = jax.jit(divided)(there).std
    exact = values.astype(np.float64).std(0)
    np.testing.assert_allclose(found, [*exact, exact[0]], rtol=1e-6)


def test_the_empty_moments_can_be_donated() -> None:
    update = jax.jit(lambda m: m.merge(Moments.of(jnp.ones(3))), donate_argnums=0)
    assert int(update(Moments.empty()).count) == 3


def test_a_gradient_goes_through() -> None:
    def total(values: jax.Array) -> jax.Array:
        moments = Moments.of(values)
        return moments.mean + moments.std

    assert jax.grad(total)(jnp.array([1.0, 3.0])).tolist() == [0.0, 1.0]
    assert jax.grad(total)(jnp.array([2.0, 2.0])).tolist() == [0.5, 0.5]  # no spread: of the mean


@pytest.mark.parametrize("shape", [(3,), (1000,), (100, 10)])
def test_a_batch_of_one_value_has_that_mean_and_no_spread(shape: tuple[int, ...]) -> None:
    # A float32 sum of (100, 10) times 0.1 is off by 2e-6 of itself.
    moments = of(np.full(shape, 0.1, np.float32), np.ones(shape, bool))
    assert float(moments.mean) == np.float32(0.1)
    assert float(moments.std) == 0.0


@pytest.mark.parametrize("size", [3, 70_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["all", "signs", "one", "tiny"])
def test_the_limits_of_floats_are_no_limits(
    kind: str, dtype: type, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = np.finfo(dtype).max
    values = np.full(size, largest, dtype)
    if kind == "signs":
        values[::2] *= -1
    elif kind == "one":
        values[1:] = np.arange(1, size)
    elif kind == "tiny":
        values[:] = np.finfo(dtype).tiny * np.arange(100, 100 * (size + 1), 100)
    monkeypatch.setattr(devices, "one_cpu", lambda: True)
    with jax.enable_x64(True):
        moments = jax.jit(lambda v: Moments.of(v))(values)
        a, b = (jax.jit(lambda v: Moments.of(v))(part) for part in np.split(values, [size // 2]))
        merged = a.merge(b)
    scaled = values.astype(np.longdouble) / np.longdouble(np.abs(values).max())
    for found in (moments, merged):
        for name in ("mean", "std"):
            got = np.longdouble(np.asarray(getattr(found, name))) / np.abs(values).max()
            assert float(got) == pytest.approx(float(getattr(scaled, name)()), rel=1e-5, abs=1e-7)
        assert np.asarray(found.min) == values.min()
        assert np.asarray(found.max) == values.max()


def test_many_blocks_are_as_exact_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "one_cpu", lambda: True)
    values = np.random.default_rng(0).normal(size=8_000_000).astype(np.float32)
    moments = jax.jit(lambda v: Moments.of(v))(values)
    assert float(moments.std) == pytest.approx(values.std(dtype=np.float64), rel=1e-7)


def test_float64_stays_float64() -> None:
    with jax.enable_x64(True):
        moments = Moments.of(np.array([1.0, 1.0 + 1e-12]))
        assert moments.mean.dtype == np.float64
        assert float(moments.std) == pytest.approx(5e-13, rel=1e-3)


def test_lanes_do_not_mix() -> None:
    values = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    mask = values > 0
    mask[2] = False
    together = jax.jit(jax.vmap(Moments.of))(values, mask)
    for lane in range(5):
        one = jax.tree.map(lambda leaf, lane=lane: leaf[lane], together)
        assert_moments(one, values[lane][mask[lane]])


@pytest.mark.parametrize(
    ("values", "where", "error", "text"),
    [
        (np.ones(3), np.ones(3), TypeError, "where: got float32, expected bool"),
        (np.ones(3), np.ones(4, bool), ValueError, r"where: got shape \(4,\), expected \(3,\)"),
        (np.ones(3, np.complex64), None, TypeError, "values: got complex64, expected bool, int"),
    ],
)
def test_what_cannot_be_counted(
    values: np.ndarray, where: np.ndarray | None, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Moments.of(values.astype(np.complex64 if values.dtype.kind == "c" else np.float32), where)
