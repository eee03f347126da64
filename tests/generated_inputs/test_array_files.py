"""Arrays of a user's own data set, and those of the challenge: what cannot be trained on is refused, and nothing else."""

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from orchestrator.submission.out_of_distribution import CHALLENGE
from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.conftest import QUIET, World, arrays
from tests.generated_inputs.mutations import changed_bytes
from tests.generated_inputs.plug_ins import DATASET, PLAN
from tests.generated_inputs.verdict import DATA, holding, judged

SOUND = arrays()
TYPES = (
    "int8",
    "uint8",
    ">i2",
    "<u2",
    "int32",
    "uint32",
    ">i8",
    "uint64",
    "float16",
    "float32",
    ">f8",
    "complex64",
    "bool",
    "S1",
    "U1",
    "O",
    "M8[s]",
)
NAMES = sorted(SOUND)


def npz(found: Mapping[str, Any], *, compressed: bool = False) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **found)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@st.composite
def wrong_arrays(draw: st.DrawFn) -> bytes:
    """One array of other type, shape, number or values; one too few, or under another name; or a file with other bytes."""
    found: dict[str, Any] = dict(SOUND)
    name = draw(st.sampled_from(NAMES))
    array = found[name]
    match draw(st.integers(0, 8)):
        case 0:
            return draw(changed_bytes(npz(found)))
        case 1:
            return draw(changed_bytes(npy(array)))
        case 2:
            del found[name]
        case 3:
            kind = draw(st.sampled_from(TYPES))
            found[name] = (array % 10).astype(kind) if kind not in ("M8[s]",) else array.astype("int64").astype(kind)
        case 4:
            change = draw(st.sampled_from(("short", "empty", "flat", "last", "more", "scalar", "half", "reversed", "fortran")))
            otherwise: dict[str, Callable[[], Any]] = {
                "short": lambda: array[:-1],
                "empty": lambda: array[:0],
                "flat": lambda: array.reshape(-1),
                "last": lambda: np.moveaxis(array, 1, -1) if array.ndim > 1 else array[:, None],
                "more": lambda: array[None],
                "scalar": lambda: array.reshape(-1)[0],
                "half": lambda: array[..., ::2],
                "reversed": lambda: array[::-1],
                "fortran": lambda: np.asfortranarray(array),
            }
            found[name] = otherwise[change]()
        case 5:
            altered = array.astype(draw(st.sampled_from(("int64", "float64"))))
            altered.reshape(-1)[draw(st.integers(0, 19))] = draw(st.sampled_from((-1, 10, 255, 256, 2**40, -(2**62))))
            found[name] = altered
        case 6:
            found[name] = array / draw(st.sampled_from((255, 1, -1)))
            found[name].reshape(-1)[0] = draw(st.sampled_from((np.nan, np.inf, 0.5)))
        case 7:
            found[name] = np.ma.masked_equal(array, 3) if draw(st.booleans()) else array.view(np.recarray)
        case _:
            return _with_header(draw, found, name)
    return npz(found)


def _with_header(draw: st.DrawFn, found: Mapping[str, Any], name: str) -> bytes:
    """Where the header of one array claims something else, and the archive is sound."""
    content = npy(found[name])
    (length,) = struct.unpack_from("<H", content, 8)
    header = content[10 : 10 + length].decode()
    new = draw(
        st.sampled_from(
            (
                header.replace("(60,", "(6000000000000000,").replace("(20,", "(6000000000000000,"),
                header.replace("(60,", "(-60,").replace("(20,", "(-20,"),
                header.replace("(60,", "(59,").replace("(20,", "(19,"),
                header.replace("'descr'", "'decsr'"),
                header.replace("False", "True"),
                header.replace("|u1", "|O").replace("<i8", "|O"),
                header.replace("|u1", "nonsense").replace("<i8", "nonsense"),
                header.replace("{", "[" * 50),
                "x" * 100,
                "",
            )
        )
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for each, array in found.items():
            odd = content[:8] + struct.pack("<H", len(new)) + new.encode() + content[10 + length :]
            archive.writestr(f"{each}.npy", odd if each == name else npy(array))
    return stream.getvalue()


def is_right(found: Mapping[str, np.ndarray]) -> bool:
    """Whether these are uint8 images and whole labels, as many as the data set says."""
    for part, count in (("train", 60), ("test", None)):
        images, labels = found[f"{part}_images"], found[f"{part}_labels"]
        right = images.dtype == np.uint8 and images.shape[1:] == (1, 8, 8) and labels.dtype.kind in "iu" and labels.ndim == 1
        if not right or len(images) != len(labels) or len(images) != (count or len(images)) or not len(images):
            return False
        if labels.min() < 0 or labels.max() > 9:
            return False
    return True


def verify(world: World) -> tuple[str | Path, ...]:
    return ("data", "verify", DATASET, "--data-dir", world.data)


def check_trained(capsys: pytest.CaptureFixture[str], world: World) -> None:
    """What is accepted can be trained on."""
    result = judged(
        capsys, world.data, (0,), "train", world.recipe, "--runs", world.folder / "other", "--data-dir", world.data, *QUIET
    )
    assert "2 of 2 epochs" in result.messages
    shutil.rmtree(world.folder / "other")


@pytest.mark.filterwarnings("default")  # of numpy, on what a file claims
@amounts(6, 100)
def test_arrays_that_cannot_be_trained_on_are_refused(examples: int, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    def check(content: bytes) -> None:
        with holding(world.data / "arrays.npz", content):
            # 1: a file that claims to be larger than the memory
            result = judged(capsys, world.folder, (0, 1, DATA), *verify(world), names=(f"data set '{DATASET}'",))
            if result.code == 0:
                with np.load(io.BytesIO(content)) as found:
                    assert is_right(found)
                check_trained(capsys, world)

    for_all(wrong_arrays(), check, examples)


@st.composite
def right_arrays(draw: st.DrawFn) -> bytes:
    """The same numbers in other types, orders and files."""
    found = dict(SOUND)
    for part in ("train", "test"):
        found[f"{part}_labels"] = found[f"{part}_labels"].astype(
            draw(st.sampled_from(("int8", "u1", ">i2", "<u4", ">i8", "uint64")))
        )
        if draw(st.booleans()):
            found[f"{part}_images"] = np.asfortranarray(found[f"{part}_images"])
    if draw(st.booleans()):
        found["more"] = np.arange(3)
    return npz(found, compressed=draw(st.booleans()))


@amounts(3, 20)
def test_arrays_of_any_type_that_holds_their_numbers_are_trained_on(
    examples: int, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(content: bytes) -> None:
        with holding(world.data / "arrays.npz", content):
            judged(capsys, world.folder, (0,), *verify(world))
            check_trained(capsys, world)

    for_all(right_arrays(), check, examples)


@amounts(5, 40)
def test_an_array_of_the_challenge_with_another_header_is_named(
    examples: int, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if the retrain had been of CIFAR-100. Each file is a hole of the right size after a header."""
    runs = Path(shutil.copytree(world.runs, tmp_path / "runs"))
    for file in runs.glob(f"{PLAN}/retrain/*/record.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "recipe": {**_recipe(file), "dataset": "cifar100"}}))
    folder = tmp_path / "ood"
    folder.mkdir()
    file = folder / CHALLENGE.file_name(0)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {CHALLENGE.shape}, }}".encode().ljust(117) + b"\n"
    sound = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header
    words = ("submit", "--runs", runs, "--ood-dir", folder, "--partial", "--data-dir", world.data)

    def check(content: bytes) -> None:
        if content[: len(sound)] != sound:
            with file.open("wb") as stream:
                stream.write(content)
                stream.truncate(CHALLENGE.file_bytes)
            judged(capsys, world.folder, (DATA,), *words, names=(str(file),))
            file.unlink()

    for_all(changed_bytes(sound), check, examples)


def _recipe(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())["recipe"]
    return found
