"""Plain data: what is written comes back equal, and what does not fit is refused with the field's name."""

import json
import math
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadData
from orchestrator.recipe import Recipe, Split
from orchestrator.record import Epoch, Failure, FailureKind, Kind, Provenance, RunRecord
from orchestrator.support.serialization import canonical, dumps, freeze, from_plain, parse, to_plain
from orchestrator.support.shell_words import quoted
from orchestrator.support.wording import one_line

floats = st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
epochs = st.builds(
    Epoch,
    number=st.integers(1, 500),
    train_loss=floats,
    train_acc=floats,
    val_loss=floats,
    val_acc=floats,
    lr=floats,
    seconds=floats,
    batch_losses=st.lists(floats, max_size=4).map(tuple),
    extra=st.dictionaries(st.text(), floats, max_size=2),
)


@given(epochs)
def test_an_epoch_comes_back_equal(epoch: Epoch) -> None:
    assert from_plain(Epoch, parse(dumps(epoch))) == epoch


def test_nan_is_written_as_json_can_hold_it_and_comes_back_as_nan() -> None:
    epoch = Epoch(number=1, train_loss=math.nan, train_acc=0, val_loss=math.inf, val_acc=0, lr=0.1, seconds=1)
    text = dumps(epoch)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    back = from_plain(Epoch, parse(text))
    assert math.isnan(back.train_loss)
    assert back.val_loss == math.inf


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_a_recipe_comes_back_equal_and_keeps_its_fingerprint(params: dict[str, object]) -> None:
    recipe = Recipe(plan="p", trainer="t", dataset="d", epochs=3, seed=1, split=Split(seed=2), params=params)
    back = from_plain(Recipe, parse(dumps(recipe)))
    assert back == recipe
    assert back.fingerprint() == recipe.fingerprint()


def test_a_record_comes_back_equal() -> None:
    record = RunRecord(
        run_id="s/trials/0001",
        kind=Kind.TRIAL,
        number=1,
        recipe=Recipe(plan="p", trainer="t", dataset="d", epochs=3, seed=1, params={"a": [1, {"b": 2.5}]}),
        failure=Failure(kind=FailureKind.LOST, message="gone"),
        provenance=Provenance(study="u", versions={"torch": "2"}),
    )
    assert from_plain(RunRecord, parse(dumps(record))) == record


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"number": "one"}, "number"),
        ({"number": True}, "number"),
        ({"val_acc": None}, "val_acc"),
        ({"surprise": 1}, "surprise"),
        ({"batch_losses": 3}, "batch_losses"),
        ({"extra": [1]}, "extra"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(change: dict[str, object], says: str) -> None:
    good = to_plain(Epoch(number=1, train_loss=1, train_acc=0, val_loss=1, val_acc=0, lr=0.1, seconds=1))
    with pytest.raises(BadData, match=says):
        from_plain(Epoch, {**good, **change})


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(BadData, match="val_acc"):
        from_plain(Epoch, {"number": 1, "train_loss": 1, "train_acc": 1, "val_loss": 1, "lr": 1, "seconds": 1})


def test_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": 3}}) == canonical({"a": {"c": 3, "d": 2}, "b": 1})


@pytest.mark.parametrize("text", ['"\\ud800"', b'"\xed\xa0\x80"', '{"\\udfff": 1}', '["\\ud83d\\ude00", "\\ud83d"]'])
def test_text_that_no_file_can_hold_is_refused_but_in_a_path(text: str | bytes) -> None:
    with pytest.raises(BadData, match="half a character"):
        parse(text)
    assert parse(text, any_path=True)
    assert parse('"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}"), ('[{"b":', "}]")])
def test_lists_and_mappings_are_inside_each_other_up_to_a_limit(begin: str, end: str) -> None:
    times = 100 // len(begin.replace('"a":', "").replace('"b":', ""))
    assert from_plain(dict, {"x": parse(begin * times + "1" + end * times)})
    for depth in (times + 1, 1_000, 100_000):
        with pytest.raises(BadData, match=r"inside each other|not JSON"):
            parse(begin * depth + "1" + end * depth)
    assert parse('"' + "[" * 1_000 + '"') == "[" * 1_000


def test_a_line_end_in_a_name_is_shown_in_one_line_and_can_be_pasted() -> None:
    name = "a\nb'\\c\td"
    assert one_line(name) == "a\\nb'\\c\\td"
    assert "\n" not in quoted(name)
    printed = subprocess.run(["bash", "-c", f"printf %s {quoted(name)}"], capture_output=True, text=True, check=True)
    assert printed.stdout == name


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 2**63, -(2**63) - 1, 10**400, "\ud800", {"caf\udce9": 1}])
def test_only_plain_data_is_frozen(value: object) -> None:
    with pytest.raises(TypeError, match=r"plain data|half a character"):
        freeze({"value": value})
