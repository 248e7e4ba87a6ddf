"""Pictures of gates: what their lines, bands, maps and bars are made of, and what is refused."""

import sys
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_se import ConcurrentSqueezeExcite, excitation
from keras_se.excitation import Gates, Recording

LABELS = np.array(["b", "a", "b", "c", "b", "a"])


def gates(path: str, channels: int, **options: Any) -> Gates:
    rng = np.random.default_rng(channels)
    values = rng.uniform(0, 1, (len(LABELS), channels))
    return Gates(path, "SqueezeExcite", values, **{"bounds": (0.0, 1.0), **options})


@pytest.fixture
def recorded() -> Recording:
    """Two blocks in one stage, and one in the next; and gates of positions."""
    spatial = Gates("stage2_both/spatial", "SpatialSqueezeExcite", np.full((len(LABELS), 4, 4), 0.5))
    names = {"stage1_block1_se": 4, "backbone/stage1_block2_se/channel": 5, "stage2_block1_se": 7}
    blocks = tuple(gates(path, channels) for path, channels in names.items())
    return Recording("net", (*blocks, spatial), ())


def titles(figure: Figure) -> list[str]:
    return [axes.get_title("left") for axes in figure.axes]


def lines(axes: Any) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_ydata() for line in axes.lines}


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_means_by_class_in_the_last_block_of_each_stage(recorded: Recording) -> None:
    figure = excitation.plot_means(recorded, LABELS)
    assert isinstance(figure, Figure)
    assert titles(figure) == ["backbone/stage1_block2_se/channel", "stage2_block1_se"]
    assert legend(figure) == ["a", "b", "c", "all"]
    for axes, block in zip(figure.axes, (recorded.blocks[1], recorded.blocks[2]), strict=True):
        found = lines(axes)
        order = np.argsort(block.values.mean(axis=0))
        assert list(found) == ["a", "b", "c", "all"]
        assert (np.diff(found["all"]) >= 0).all()
        np.testing.assert_allclose(found["all"], block.values.mean(axis=0)[order])
        np.testing.assert_allclose(found["b"], block.values[[0, 2, 4]].mean(axis=0)[order])
        np.testing.assert_allclose(found["c"], block.values[3][order])
        assert axes.get_ylim() == (0.0, 1.0)


def test_classes_and_blocks_can_be_chosen(recorded: Recording) -> None:
    figure = excitation.plot_means(recorded, LABELS, classes=["c", "a"], blocks=["stage1_block1_se"])
    assert (titles(figure), legend(figure)) == (["stage1_block1_se"], ["c", "a", "all"])
    numbers = excitation.plot_means(recorded, [7, 5, 7, 7, 5, 5], classes=[5])
    assert legend(numbers) == ["5", "all"]
    arrays = excitation.plot_means(
        recorded, np.array([7, 5, 7, 7, 5, 5]), classes=np.array([5]), blocks=np.array(["stage1_block1_se"])
    )
    assert (titles(arrays), legend(arrays)) == (["stage1_block1_se"], ["5", "all"])


def test_plots_five_of_many_blocks_and_the_largest_classes() -> None:
    recorded = Recording("net", tuple(gates(f"model/se_{i}", 3) for i in range(20)), ())
    figure = excitation.plot_means(recorded, ["rare", "c", "c", "c", "d", "d"])
    assert titles(figure) == [f"model/se_{i}" for i in (0, 5, 10, 14, 19)]
    mixed = Recording("net", (*recorded.blocks[:2], gates("stage1_block1_se", 3)), ())
    assert titles(excitation.plot_means(mixed, LABELS)) == ["model/se_0", "model/se_1", "stage1_block1_se"]
    assert legend(excitation.plot_spread(recorded, ["rare", "c", "c", "c", "d", "d"])) == ["c", "d"]


def test_the_spread_within_classes(recorded: Recording) -> None:
    figure = excitation.plot_spread(recorded, LABELS, classes=["b", "a"], blocks=["stage2_block1_se"])
    (axes,) = figure.axes
    values = recorded["stage2_block1_se"].values
    order = np.argsort(values.mean(axis=0))
    assert legend(figure) == ["b", "a"]
    np.testing.assert_allclose(lines(axes)["b"], values[[0, 2, 4]].mean(axis=0)[order])
    band = axes.collections[0].get_paths()[0].vertices
    for channel in range(7):
        own = values[[0, 2, 4]][:, order[channel]]
        deviation = np.sqrt(((own - own.mean()) ** 2).sum() / 3)
        heights = band[band[:, 0] == channel, 1]
        np.testing.assert_allclose((heights.min(), heights.max()), (own.mean() - deviation, own.mean() + deviation))


def test_a_map_of_classes_by_channels(recorded: Recording) -> None:
    figure = excitation.plot_classes(recorded, LABELS)
    maps = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title("left") for axes in maps] == ["backbone/stage1_block2_se/channel", "stage2_block1_se"]
    values = recorded["stage2_block1_se"].values
    order = np.argsort(values.mean(axis=0))
    (image,) = maps[1].images
    np.testing.assert_allclose(image.get_array()[1], values[[0, 2, 4]].mean(axis=0)[order])
    assert [text.get_text() for text in maps[1].get_yticklabels()] == ["a", "b", "c"]
    assert image.get_clim() == (0.0, 1.0)
    unbounded = Recording("net", (gates("se", 3, bounds=None),), ())
    (image,) = excitation.plot_classes(unbounded, LABELS).axes[0].images
    assert image.get_clim() == (image.get_array().min(), image.get_array().max())


def test_shares_of_saturated_gates() -> None:
    half_open = Gates("a", "SqueezeExcite", np.array([[0.99, 0.5]]), bounds=(0.0, 1.0))
    mixed = Gates("b", "SqueezeExcite", np.array([[0.01, 1.99, 1.95, 1.0]]), bounds=(0.0, 2.0))
    unbounded = Gates("c", "SqueezeExcite", np.array([[9.0]]))
    (axes,) = excitation.plot_saturation(Recording("net", (half_open, mixed, unbounded), ())).axes
    closed, opened = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert (closed, opened) == ([0, -25], [50, 50])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    assert [text.get_text() for text in axes.texts] == ["", "25.0", "50.0", "50.0"]
    low, high = axes.get_ylim()
    assert low > high  # the first block is at the top
    with pytest.raises(ValueError, match=r"gates have bounds. Received: \['c'\]"):
        excitation.plot_saturation(Recording("net", (unbounded,), ()))


def test_maps_over_images() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.AveragePooling2D(2, name="half")(image)
    model = keras.Model(image, ConcurrentSqueezeExcite(2, name="both")(x))
    pictures = np.random.default_rng(0).uniform(-3, 5, (2, 8, 8, 3)).astype("float32")
    recorded = excitation.record(model, pictures, maps=True)
    figure = excitation.plot_overlay(recorded, pictures, labels=["x", "y"])
    axes = np.array(figure.axes).reshape(2, 3)
    assert [one.get_title() for one in axes[0]] == ["image", "both/\nchannel", "both/\nspatial"]
    assert [one.get_ylabel() for one in axes[:, 0]] == ["x", "y"]
    half = pictures.reshape(2, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    weights = recorded["both/channel"].values
    for i in range(2):
        heat = sum(weights[i, c] * np.abs(half[i, :, :, c]) for c in range(3)) / weights[i].sum()
        np.testing.assert_allclose(axes[i, 1].images[-1].get_array(), heat, rtol=1e-5)
        np.testing.assert_array_equal(axes[i, 2].images[-1].get_array(), recorded["both/spatial"].values[i])
        assert axes[i, 2].images[-1].get_clim() == (0.0, 1.0)
        for one in axes[i, 1:]:
            assert one.images[0].get_extent() == one.images[-1].get_extent()  # the map covers the image
        shown = axes[i, 0].images[0].get_array()
        assert (shown.min(), shown.max()) == (0, 1)
    grey = excitation.plot_overlay(recorded, pictures[..., :1], blocks=["both/spatial"])
    assert len(grey.axes) == 4
    with pytest.raises(ValueError, match=r"images must be the 2 recorded images.*Received: shape \(1, 8, 8, 3\)"):
        excitation.plot_overlay(recorded, pictures[:1])
    with pytest.raises(ValueError, match=r"one per image\. Received: 1"):
        excitation.plot_overlay(recorded, pictures, labels=["x"])
    without = excitation.record(model, pictures)
    with pytest.raises(ValueError, match=r"recorded with maps=True and .*: \[\]. Received: \['both/spatial'\]"):
        excitation.plot_overlay(without, pictures, blocks=["both/spatial"])


def test_what_does_not_fit_is_refused(recorded: Recording) -> None:
    for plot in (excitation.plot_means, excitation.plot_spread, excitation.plot_classes):
        with pytest.raises(ValueError, match=r"labels must be a list of 6 labels, .* Received: shape \(5,\)"):
            plot(recorded, LABELS[:5])
        with pytest.raises(ValueError, match=r"labels among \['a', 'b', 'c'\]. Received: \['z'\]"):
            plot(recorded, LABELS, classes=["z"])
        with pytest.raises(ValueError, match=r"channel gates.*Received: \['stage2_both/spatial'\]"):
            plot(recorded, LABELS, blocks=["stage2_both/spatial"])
        with pytest.raises(ValueError, match=r"^classes must be a list, .*\['a'\]\. Received: classes='a'$"):
            plot(recorded, LABELS, classes="a")
        with pytest.raises(ValueError, match=r"^blocks must be a list, .* Received: blocks='stage1_block1_se'$"):
            plot(recorded, LABELS, blocks="stage1_block1_se")


def test_without_matplotlib_the_extra_is_named(recorded: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-se\[report\]'"):
        excitation.plot_means(recorded, LABELS)


def test_figures_are_drawn(recorded: Recording, tmp_path: Any) -> None:
    """Nothing overlaps so much that the layout fails, which matplotlib warns of."""
    figures = [plot(recorded, LABELS) for plot in (excitation.plot_means, excitation.plot_spread)]
    for i, figure in enumerate(
        [*figures, excitation.plot_classes(recorded, LABELS), excitation.plot_saturation(recorded)]
    ):
        path = tmp_path / f"{i}.png"
        figure.savefig(path, dpi=50)
        assert path.stat().st_size > 1000
