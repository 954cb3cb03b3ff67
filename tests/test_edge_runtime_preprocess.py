from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.classifier import input_encoder
from edge_runtime.errors import InputError
from edge_runtime.interpreter import TensorSpec
from edge_runtime.preprocess import Preprocessing
from edge_runtime.tensors import Quantization

EVERY_BYTE = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
GREY, COLOUR = Preprocessing(8, 10, 1), Preprocessing(8, 10, 3)
NOISE = np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8)


def int8_spec(scale: float, zero_point: int) -> TensorSpec:
    return TensorSpec((1, 16, 16, 1), "int8", Quantization(scale, zero_point, "int8"))


def saved(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def test_int8_input_of_the_unit_contract_is_the_pixel_with_its_top_bit_flipped() -> None:
    encoded = input_encoder(int8_spec(1 / 255, -128), Preprocessing(16, 16, 1))(EVERY_BYTE)
    assert encoded.dtype == np.int8
    np.testing.assert_array_equal(encoded.view(np.uint8), EVERY_BYTE ^ 0x80)


@given(st.floats(1e-4, 2.0), st.integers(-128, 127), st.floats(1e-4, 2.0), st.floats(-2, 2))
def test_int8_encoding_is_quantize_of_normalize_for_every_byte(scale: float, zero_point: int, contract_scale: float, offset: float) -> None:
    contract, spec = Preprocessing(16, 16, 1, contract_scale, offset), int8_spec(scale, zero_point)
    assert spec.quantization is not None
    expected = spec.quantization.quantize(contract.normalize(EVERY_BYTE))
    encoded = input_encoder(spec, contract)(EVERY_BYTE)
    assert encoded.dtype == np.int8
    np.testing.assert_array_equal(encoded, expected)


@given(st.floats(-2, 2), st.floats(-200, 200))
def test_float_encoding_is_the_same_float32_as_in_training(scale: float, offset: float) -> None:
    contract = Preprocessing(16, 16, 1, scale, offset)
    encoded = input_encoder(TensorSpec((1, 16, 16, 1), "float32", None), contract)(EVERY_BYTE)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, contract.normalize(EVERY_BYTE))


@pytest.mark.parametrize(("scaling", "low", "high"), [("unit", 0, 1), ("signed", -1, 1), ("raw", 0, 255)])
def test_named_scalings_map_black_and_white_to_the_ends_of_their_range(scaling: str, low: float, high: float) -> None:
    ends = Preprocessing.named(scaling, (1, 2, 1)).normalize(np.array([0, 255], np.uint8))
    np.testing.assert_allclose(ends, [low, high], atol=1e-6)


def test_an_unknown_scaling_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'signed'"):
        Preprocessing.named("sined", (8, 8, 1))


def test_lossless_pictures_keep_their_pixels(tmp_path: Path) -> None:
    grey = NOISE[..., 0]
    for suffix in ("png", "bmp"):
        np.testing.assert_array_equal(GREY.load_image(saved(Image.fromarray(grey), tmp_path / f"grey.{suffix}"))[..., 0], grey)
        np.testing.assert_array_equal(COLOUR.load_image(saved(Image.fromarray(NOISE), tmp_path / f"rgb.{suffix}")), NOISE)
    grey_as_colour = COLOUR.load_image(tmp_path / "grey.png")
    np.testing.assert_array_equal(grey_as_colour, np.repeat(grey[..., np.newaxis], 3, axis=2))
    np.testing.assert_array_equal(GREY.load_image(tmp_path / "rgb.png")[..., 0], np.asarray(Image.fromarray(NOISE).convert("L")))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    picture = Image.fromarray(NOISE[..., 0] // 128, "P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    expected = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)[NOISE[..., 0] // 128]
    np.testing.assert_array_equal(COLOUR.load_image(saved(picture, tmp_path / "p.png")), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_shows_white_paper_whatever_colour_lies_below(tmp_path: Path, mode: str) -> None:
    options = {"transparency": 0} if mode == "P" else {}
    nearly_black: dict[str, Any] = {"RGBA": (9, 9, 9, 0), "LA": (9, 0), "P": 0}
    picture = Image.new(mode, (10, 8), nearly_black[mode])
    assert (COLOUR.load_image(saved(picture, tmp_path / "see-through.png", **options)) == 255).all()


def test_16_bit_grey_keeps_its_contrast(tmp_path: Path) -> None:
    deep = np.arange(0, 80 * 800, 800, dtype=np.uint16).reshape(8, 10)
    picture = saved(Image.fromarray(deep), tmp_path / "deep.png")
    np.testing.assert_array_equal(GREY.load_image(picture)[..., 0], deep >> 8)
    np.testing.assert_array_equal(COLOUR.load_image(picture)[..., 2], deep >> 8)


def test_a_jpeg_is_read_up_to_its_compression(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 80).reshape(8, 10).astype(np.uint8)
    picture = saved(Image.fromarray(smooth), tmp_path / "photo.JPG", quality=95)
    assert np.abs(GREY.load_image(picture)[..., 0].astype(int) - smooth).max() < 12


def test_another_size_is_resized_by_pillows_bilinear_filter(tmp_path: Path) -> None:
    large = Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 23, 3), np.uint8))
    got = COLOUR.load_image(saved(large, tmp_path / "large.png"))
    np.testing.assert_array_equal(got, np.asarray(large.resize((10, 8), Image.Resampling.BILINEAR)))
    halves = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (16, 10)))
    assert np.ptp(GREY.fit(halves)[:, 1:-1]) < 2, "shrinking averages: it does not pick every other pixel"


@pytest.mark.parametrize("shape", [(8, 10), (8, 10, 1), (1, 8, 10), (1, 8, 10, 1)])
def test_an_npy_file_holds_one_picture_of_any_number_of_dimensions(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "pixels.npy", NOISE[..., 0].reshape(shape))
    np.testing.assert_array_equal(GREY.load_image(tmp_path / "pixels.npy")[..., 0], NOISE[..., 0])


def write_bad_files(folder: Path) -> None:
    (folder / "random.png").write_bytes(np.random.default_rng(0).bytes(3000))
    (folder / "empty.jpg").touch()
    whole = saved(Image.fromarray(NOISE), folder / "whole.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "folder.png").mkdir()
    np.save(folder / "float.npy", np.zeros((8, 10), np.float32))
    np.save(folder / "size.npy", np.zeros((10, 8), np.uint8))
    np.save(folder / "none.npy", np.zeros((0, 8, 10), np.uint8))
    np.save(folder / "many.npy", np.zeros((5, 8, 10), np.uint8))
    np.save(folder / "objects.npy", np.array([print], object))
    np.savez(folder / "archive.npz", np.zeros((8, 10), np.uint8))
    (folder / "archive.npz").rename(folder / "archive.npy")
    (folder / "header.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': (\n\n\n\n\n\n")


@pytest.mark.parametrize(
    "name",
    ["missing.png", "missing.npy", "random.png", "empty.jpg", "truncated.png", "folder.png", "float.npy", "size.npy", "none.npy", "many.npy"]
    + ["objects.npy", "archive.npy", "header.npy"],
)
def test_a_bad_picture_is_one_line_that_names_what_is_wrong(tmp_path: Path, name: str) -> None:
    write_bad_files(tmp_path)
    with pytest.raises(InputError) as caught:
        GREY.load_image(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value) or "got" in str(caught.value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 8, 10, 1), np.float32), "uint8"),
        (np.zeros((1, 10, 8, 1), np.uint8), r"\[1, 10, 8, 1\]"),
        (np.zeros((8, 10), np.uint8), r"\[8, 10\]"),
        (np.zeros((1, 8, 10, 3), np.uint8), r"\[N, 8, 10, 1\]"),
    ],
)
def test_arrays_that_do_not_fit_the_contract_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GREY.as_batch(images)


def test_grey_batches_may_leave_out_the_channel_and_colour_ones_may_not() -> None:
    assert GREY.as_batch(np.zeros((5, 8, 10), np.uint8)).shape == (5, 8, 10, 1)
    with pytest.raises(InputError, match="got"):
        COLOUR.as_batch(np.zeros((5, 8, 10), np.uint8))


def test_a_contract_survives_its_dictionary_and_one_of_another_resize_is_refused() -> None:
    contract = Preprocessing.named("signed", (8, 10, 3))
    assert Preprocessing.from_dict(contract.to_dict()) == contract
    with pytest.raises(InputError, match="upgrade"):
        Preprocessing.from_dict({**contract.to_dict(), "resize": "lanczos"})


def test_without_pillow_a_picture_is_an_error_that_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['PIL'] = None; from edge_runtime.preprocess import Preprocessing; Preprocessing(8, 8, 1).load_image('a.png')"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert "edgeproof[image]" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("shape", "picture", "layout"),
    [
        ((1, 28, 32, 1), (28, 32, 1), "NHWC"),
        (("batch", 3, 28, 32), (28, 32, 3), "NCHW"),
        ((1, 1, 8, 8), (8, 8, 1), "NCHW"),
        ((-1, 3, 5, 3), (3, 5, 3), "NHWC"),  # in both places: as TFLite has it
    ],
)
def test_an_input_tells_its_layout(shape: tuple[int | str, ...], picture: tuple[int, ...], layout: str) -> None:
    contract = Preprocessing.of_input(shape, "signed")
    assert (contract.shape, contract.layout, contract.offset) == (picture, layout, -1)
    assert Preprocessing.from_dict(contract.to_dict()) == contract


@pytest.mark.parametrize("shape", [(1, 784), (8, 28, 28, 1), (1, 28, 28, 4), (1, 3, "height", "width"), (1, "height", "width", 3), ()])
def test_an_input_that_is_no_picture_of_fixed_size_is_refused(shape: tuple[int | str, ...]) -> None:
    with pytest.raises(InputError, match="NHWC or NCHW"):
        Preprocessing.of_input(shape)
