"""A sample submission says how ids and labels are written; without one, they are the names of files and of classes."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.errors import BadData, InvalidInput, MissingInput
from orchestrator.submission.sample_submission import Sample, files_by_id, label_texts, read_sample
from orchestrator.submission.submission_file import SubmissionForm, check_submission, csv_table

FOLDER = Path("photos")


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def sample(ids: Sequence[str], labels: Sequence[str] = ()) -> Sample:
    return Sample(path=Path("sample.csv"), header=("id", "label"), ids=tuple(ids), labels=tuple(labels))


@pytest.mark.parametrize(
    ("content", "header", "ids", "labels"),
    [
        (b"id,label\n1,cat\n2,cat\n", ("id", "label"), ("1", "2"), ("cat", "cat")),
        (b"\xef\xbb\xbfid,label\r\n1,0\r\n\r\n", ("id", "label"), ("1",), ("0",)),
        (b'"Image, Id","Class"\n"a,b.png",""\n"c\nd","e ""f"""', ("Image, Id", "Class"), ("a,b.png", "c\nd"), ("", 'e "f"')),
    ],
)
def test_a_sample_is_read_as_kaggle_writes_it(
    content: bytes, header: tuple[str, str], ids: Sequence[str], labels: Sequence[str], tmp_path: Path
) -> None:
    (tmp_path / "sample.csv").write_bytes(content)
    found = read_sample(tmp_path / "sample.csv")
    assert (found.header, found.ids, found.labels) == (header, ids, labels)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no rows"),
        (b"id,label\n", "has no rows"),
        (b"id,cat,dog\n1,0,0\n", "line 1: expected two columns, an id and a label, found 3"),
        (b"id,label\n1,0\n2\n", "line 3: expected two columns, an id and a label, found 1"),
        (b"id;label\n1;0\n", "line 1: expected two columns, an id and a label, found 1"),
        (b"id,label\n1,0\n1,0\n", "has the id '1' twice"),
        ("id,label\né,0\ne\u0301,0\n".encode(), r"has the id '\xe9' twice, also as 'e\u0301'"),
        (b'id,label\n"1,0\n', "unexpected end of data"),
        (b"id,label\n\xff,0\n", "line 1: 'utf-8' codec can't decode"),
    ],
)
def test_what_is_no_sample_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_bytes(content)
    with pytest.raises(BadData) as refusal:
        read_sample(tmp_path / "sample.csv")
    assert f"{tmp_path / 'sample.csv'}" in str(refusal.value)
    assert says in str(refusal.value)


def test_a_missing_sample_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="there is no sample submission"):
        read_sample(tmp_path / "sample.csv")


@pytest.mark.parametrize(
    ("names", "ids", "found"),
    [
        (("a.png", "b.JPG"), None, {"a.png": "a.png", "b.JPG": "b.JPG"}),
        (("a.png", "b.JPG"), ("b.JPG", "a.png"), {"b.JPG": "b.JPG", "a.png": "a.png"}),
        (("a.png", "b.JPG"), ("b", "a"), {"b": "b.JPG", "a": "a.png"}),
        (("a.b.png", "c.png"), ("a.b", "c"), {"a.b": "a.b.png", "c": "c.png"}),
        ((decomposed("é.png"),), ("é",), {"é": decomposed("é.png")}),
        (("é.png",), (decomposed("é.png"),), {decomposed("é.png"): "é.png"}),
        ((decomposed("é.png"),), None, {"é.png": decomposed("é.png")}),
        (("a.png", "a.jpg"), None, {"a.png": "a.png", "a.jpg": "a.jpg"}),
        (('q"u,o\nte.png',), ('q"u,o\nte',), {'q"u,o\nte': 'q"u,o\nte.png'}),
    ],
)
def test_ids_are_those_of_the_sample_or_the_names(names: Sequence[str], ids: Sequence[str] | None, found: dict[str, str]) -> None:
    by_id = files_by_id(names, FOLDER, sample(ids) if ids is not None else None)
    assert list(by_id.items()) == list(found.items())


@pytest.mark.parametrize(
    ("names", "ids", "says"),
    [
        (("a.png",), ("a", "b", "c"), "sample.csv is not of the images in photos. 2 ids without an image: b, c"),
        (("a.png", "b.png"), ("a",), "sample.csv is not of the images in photos. 1 image without an id: b"),
        (("a.png", "b.png"), ("a.png", "c.png"), "1 id without an image: c.png. 1 image without an id: b.png"),
        (("1.png", "2.png"), ("01", "02"), "2 ids without an image: 01, 02. 2 images without an id: 1.png, 2.png"),
        (tuple(f"{n}.png" for n in range(9)), ("x",), "9 images without an id: 0.png, 1.png, 2.png, 3.png, 4.png and 4 more"),
        (("a.png", "a.jpg"), ("a",), "photos: 'a.png' and 'a.jpg' would have the same id; rename one"),
        (("é.png", decomposed("é.png")), None, r"photos: '\xe9.png' and 'e\u0301.png' would have the same id"),
        (("a.png", "\udcff.png", "\udcfe.png"), None, r"are UTF-8; rename 2 files: \udcff.png, \udcfe.png"),
        (("\udcff.png",), ("a",), "are UTF-8; rename 1 file"),
    ],
)
def test_images_and_sample_that_do_not_belong_together_are_refused(
    names: Sequence[str], ids: Sequence[str] | None, says: str
) -> None:
    with pytest.raises(BadData) as refusal:
        files_by_id(names, FOLDER, sample(ids) if ids is not None else None)
    assert says in str(refusal.value)


def test_a_sample_without_a_header_is_told(tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_text("a,0\nb,0\nc,0\n")
    with pytest.raises(BadData, match="has no header: its first line is the row of an image"):
        files_by_id(("a.png", "b.png", "c.png"), FOLDER, read_sample(tmp_path / "sample.csv"))


NAMES = ("cat", "café", "dog")
NUMBERS = ("0", "1", "2")


@pytest.mark.parametrize(
    ("names", "shown", "choice", "labels", "note"),
    [
        (NAMES, None, None, NAMES, ""),
        (NAMES, ("dog", "dog"), None, NAMES, ""),
        (NAMES, (decomposed("café"), ""), None, NAMES, ""),
        (NAMES, ("", ""), None, NAMES, ""),
        (NAMES, ("0", "0"), None, NUMBERS, "labels are the numbers of the classes: 0 is cat, 1 is café, 2 is dog"),
        (
            NAMES,
            ("0", "3"),
            None,
            NAMES,
            "are no classes of this model: 0, 3. Class names are written; for numbers give",
        ),
        (NAMES, ("Cat",), None, NAMES, "the labels of sample.csv are no classes of this model: Cat."),
        (NAMES, ("cat",), "numbers", NUMBERS, "0 is cat"),
        (NAMES, ("0",), "names", NAMES, ""),
        (NAMES, ("?",), "names", NAMES, ""),
        ((), None, None, NUMBERS, ""),
        ((), ("cat",), None, NUMBERS, ""),
        (("0", "1", "10"), ("10", "0"), None, ("0", "1", "10"), ""),  # names, which come before numbers
    ],
)
def test_labels_are_written_as_the_sample_shows(
    names: Sequence[str], shown: Sequence[str] | None, choice: str | None, labels: Sequence[str], note: str
) -> None:
    seen = sample([str(number) for number in range(len(shown))], shown) if shown is not None else None
    found, said = label_texts(names, 3, seen, choice)
    assert found == labels
    assert note in said
    assert bool(note) == bool(said)


def test_labels_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(InvalidInput, match="have no names: leave --labels names out"):
        label_texts((), 3, None, "names")
    with pytest.raises(BadData, match=r"this name of a class is not: \\udcff"):
        label_texts(("\udcff", "a"), 2, None, None)


FORM = SubmissionForm(header=("Image, Id", "Class"), labels=("cat", 'a "b", c', "line\nend"))


def test_a_submission_of_names_is_checked_line_by_line(tmp_path: Path) -> None:
    path, ids = tmp_path / "submission.csv", ("a,b.png", "r\rn", "c\nd")
    good = csv_table(FORM.header, zip(ids, FORM.labels, strict=True))
    for content, says in {
        good: "",
        good.replace("Class", "class"): """line 1: expected the header "Image, Id",Class, found 'Image, Id,class'""",
        good.replace("cat", "Cat"): "line 2: the label of a,b.png is 'Cat', expected one of 3 classes: cat, a \"b\", c, line",
        good.replace("cat", "0"): "line 2: the label of a,b.png is '0', expected one of 3 classes",
    }.items():
        path.write_text(content, newline="")
        if says:
            with pytest.raises(BadData) as refusal:
                check_submission(path, ids, form=FORM)
            assert says in str(refusal.value)
        else:
            check_submission(path, ids, form=FORM)
