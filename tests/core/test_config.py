from __future__ import annotations

import re
import tomllib

import msgspec
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_core.architecture import require_divisible
from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig, parse_config
from distill_core.errors import SettingsError
from distill_core.settings import check_field, describe, is_optional
from distill_core.students import STUDENT_KINDS, EncoderConfig, MemoryConfig, MlpConfig
from distill_core.students.spec import StudentConfig
from distill_core.training.recipes import resolve

GROUPS: tuple[type[msgspec.Struct], ...] = (
    DataConfig,
    SplitConfig,
    *STUDENT_KINDS.values(),
    TrainingConfig,
)
FIELDS = [(section, name) for section in GROUPS for name in section.__struct_fields__]

OUT_OF_RANGE = [
    (TrainingConfig, "epochs", 0),
    (TrainingConfig, "epochs", 2.5),
    (TrainingConfig, "epochs", True),
    (TrainingConfig, "batch_size", 0),
    (TrainingConfig, "learning_rate", 0.0),
    (TrainingConfig, "learning_rate", float("nan")),
    (TrainingConfig, "learning_rate", float("inf")),
    (TrainingConfig, "cosine_weight", -0.01),
    (TrainingConfig, "cosine_weight", 1.01),
    (TrainingConfig, "cosine_weight", float("nan")),
    (TrainingConfig, "seed", -1),
    (TrainingConfig, "seed", 2**32),
    (TrainingConfig, "device", "tpu"),
    (TrainingConfig, "threads", -1),
    (TrainingConfig, "recipe", "secret"),
    (EncoderConfig, "heads", 0),
    (EncoderConfig, "heads", None),
    (EncoderConfig, "layers", 0),
    (EncoderConfig, "ff_dim", 0),
    (EncoderConfig, "dropout", 1.0),
    (MemoryConfig, "slots", 0),
    (MlpConfig, "layers", 65),
    (DataConfig, "database", 7),
    (DataConfig, "mh_id", -1),
    (DataConfig, "temperature", 0.0),
    (DataConfig, "temperature", -1.0),
    (DataConfig, "temperature", float("nan")),
    (DataConfig, "temperature", "warm"),
    (SplitConfig, "split", "answer"),
    (SplitConfig, "test_fraction", 0.0),
    (SplitConfig, "test_fraction", 0.5),
    (SplitConfig, "validation_fraction", 0.0),
    (SplitConfig, "validation_fraction", 0.5),
    (SplitConfig, "exclude_near_duplicates", 1),
    (TrainingConfig, "mse_reduction", "none"),
]


def run_configs() -> st.SearchStrategy[RunConfig]:
    share = st.floats(0.01, 0.49)
    return st.builds(
        RunConfig,
        data=st.builds(
            DataConfig,
            database=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
            mh_id=st.integers(0, 99),
            temperature=st.none() | st.floats(1e-3, 1e3),
        ),
        split=st.builds(
            SplitConfig,
            split=st.sampled_from(["query", "cluster"]),
            validation_fraction=share,
            test_fraction=share,
            exclude_near_duplicates=st.booleans(),
        ),
        student=st.builds(
            EncoderConfig,
            heads=st.integers(1, 1024),
            layers=st.integers(1, 64),
            ff_dim=st.integers(1, 65536),
            dropout=st.floats(0, 0.99),
        ),
        training=st.builds(
            TrainingConfig,
            epochs=st.integers(1, 1_000_000),
            learning_rate=st.floats(1e-9, 10),
            cosine_weight=st.floats(0, 1),
            mse_reduction=st.sampled_from(["mean", "sum"]),
            seed=st.integers(0, 2**32 - 1),
            device=st.sampled_from(["auto", "cpu", "cuda", "mps"]),
        ),
    )


def test_the_recipe_book_is_the_published_one() -> None:
    config = RunConfig(data=DataConfig(database="lda.db"), training=TrainingConfig(recipe="book"))
    config = resolve(config, 100)
    split, training, student = config.split, config.training, config.student
    assert (training.epochs, training.batch_size) == (200, 32)
    assert (training.learning_rate, training.cosine_weight) == (1e-4, 0.7)
    assert training.mse_reduction == "mean"
    assert (split.split, split.test_fraction, split.exclude_near_duplicates) == ("query", 0.2, False)
    assert config.data.temperature is None
    assert student == EncoderConfig(heads=4, layers=2, ff_dim=512, dropout=0.1)


@pytest.mark.parametrize(("section", "name", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_with_its_field(
    section: type[msgspec.Struct], name: str, value: object
) -> None:
    base: dict[str, object] = {"database": "lda.db"} if section is DataConfig else {}
    with pytest.raises(SettingsError) as caught:
        section(**{**base, name: value})
    assert caught.value.field == name
    assert caught.value.message.startswith(describe(section, name).title)
    assert "`" not in caught.value.message


def test_a_copy_is_checked_like_the_original() -> None:
    assert TrainingConfig().with_values(epochs=3) == TrainingConfig(epochs=3)
    with pytest.raises(SettingsError):
        TrainingConfig().with_values(epochs=0)


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        TrainingConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("section", "name", "text", "value"),
    [
        (TrainingConfig, "epochs", "50", 50),
        (TrainingConfig, "learning_rate", "1e-3", 0.001),
        (TrainingConfig, "cosine_weight", "1", 1.0),
        (TrainingConfig, "cosine_weight", ".5", 0.5),
        (TrainingConfig, "learning_rate", "+.5e-3", 0.0005),
        (DataConfig, "temperature", "1.", 1.0),
        (EncoderConfig, "dropout", "0", 0.0),
        (TrainingConfig, "device", "cpu", "cpu"),
        (DataConfig, "database", "12", "12"),
        (DataConfig, "temperature", "0.3", 0.3),
        (SplitConfig, "test_fraction", "0.25", 0.25),
        (SplitConfig, "exclude_near_duplicates", "true", True),
    ],
)
def test_text_of_a_form_becomes_the_settings_type(
    section: type[msgspec.Struct], name: str, text: str, value: object
) -> None:
    converted = check_field(section, name, text)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize("text", ["", "abc", "2.5", "nan", "-1", "0", "1_0"])
def test_text_that_is_no_number_of_epochs_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^Epochs: "):
        check_field(TrainingConfig, "epochs", text)


def test_settings_hold_converted_values_whatever_they_were_made_of() -> None:
    training = TrainingConfig(epochs="5", learning_rate=1)  # type: ignore[arg-type]
    assert (training.epochs, training.learning_rate) == (5, 1.0)
    assert type(training.learning_rate) is float
    config = RunConfig(data={"database": "lda.db"})  # type: ignore[arg-type]
    assert config.data == DataConfig(database="lda.db")


@settings(max_examples=40)
@given(run_configs())
def test_settings_survive_toml_and_json(config: RunConfig) -> None:
    builtins = msgspec.to_builtins(config)
    if config.data.temperature is None:
        builtins["data"].pop("temperature")
    for section in ("student", "training"):  # TOML writes nothing where a value is None
        builtins[section] = {name: value for name, value in builtins[section].items() if value is not None}
    assert parse_config(tomllib.loads(tomli_w.dumps(builtins))) == config
    assert parse_config(msgspec.json.decode(msgspec.json.encode(config))) == config


def test_a_file_may_leave_out_what_has_a_default() -> None:
    config = parse_config(tomllib.loads('[data]\ndatabase = "a.db"\n[training]\nlearning_rate = 1\n'))
    assert config == RunConfig(data=DataConfig(database="a.db"), training=TrainingConfig(learning_rate=1.0))


@pytest.mark.parametrize(
    ("builtins", "words"),
    [
        ({}, "data"),
        ({"data": {}}, "database"),
        ({"data": {"database": "a"}, "student": {"head": 3}}, "unknown field head (at student)"),
        ({"data": {"database": "a", "test_fraction": 0.2}}, "unknown field test_fraction (at data)"),
        ({"data": {"database": "a"}, "split": {"test_fraction": 0.5}}, "(at split.test_fraction)"),
        ({"data": {"database": "a"}, "student": {"heads": 0}}, ">= 1 (at student.heads)"),
        ({"data": {"database": "a"}, "training": {"epochs": "5"}}, "(at training.epochs)"),
        ({"data": {"database": "a"}, "extra": 1}, "extra"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(builtins: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_config(builtins)
    assert words in caught.value.message
    assert "`" not in caught.value.message


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_every_setting_describes_itself(section: type[msgspec.Struct], name: str) -> None:
    description = describe(section, name)
    assert description.name == name
    assert description.title != name
    assert description.description.endswith(".")
    assert len(description.description) <= 80


def test_a_setting_with_few_values_lists_them() -> None:
    assert describe(TrainingConfig, "device").choices == ("auto", "cpu", "cuda", "mps")
    assert describe(TrainingConfig, "mse_reduction").choices == ("auto", "mean", "sum")
    assert describe(SplitConfig, "split").choices == ("query", "cluster")
    assert describe(TrainingConfig, "epochs").choices == ()


def test_what_is_left_to_the_recipe_is_auto_in_text_and_none_in_the_settings() -> None:
    assert check_field(TrainingConfig, "epochs", "auto") is None
    assert check_field(TrainingConfig, "epochs", "12") == 12
    assert check_field(EncoderConfig, "dropout", "auto") is None
    assert is_optional(TrainingConfig, "learning_rate")
    assert not is_optional(TrainingConfig, "seed")
    with pytest.raises(SettingsError, match="expected a whole number or auto, got text"):
        check_field(TrainingConfig, "epochs", "many")
    with pytest.raises(SettingsError, match="Seed"):
        check_field(TrainingConfig, "seed", "auto")


@pytest.mark.parametrize(
    ("student", "dimension", "fits"),
    [
        (EncoderConfig(heads=3), 8, False),
        (EncoderConfig(heads=4), 8, True),
        (MemoryConfig(heads=3, width=96), 384, True),
        (MemoryConfig(heads=5, width=96), 384, False),
        (MemoryConfig(heads=3, width=96), 8, False),
        (MlpConfig(), 8, True),
    ],
)
def test_heads_must_divide_what_they_share(student: StudentConfig, dimension: int, *, fits: bool) -> None:
    if fits:
        student.check(dimension)
        return
    with pytest.raises(SettingsError, match="does not divide the"):
        student.check(dimension)


@given(st.integers(1, 2048), st.integers(-2, 1100))
def test_heads_must_divide_the_dimension(dimension: int, heads: int) -> None:
    fits = heads >= 1 and (dimension / heads).is_integer()
    if fits:
        require_divisible(dimension, heads)
        return
    with pytest.raises(SettingsError) as caught:
        require_divisible(dimension, heads)
    assert caught.value.field == "heads"
    offered = [int(number) for number in re.findall(r"\d+", caught.value.hint)]
    assert offered
    assert all((dimension / count).is_integer() for count in offered)


def test_the_nearest_fitting_heads_are_offered() -> None:
    with pytest.raises(SettingsError) as caught:
        require_divisible(384, 5)
    assert caught.value.hint == "Take one of 3, 4, 6."


def test_settings_of_an_older_version_keep_the_split_that_their_seed_drew() -> None:
    old = {"data": {"database": "lda.db"}, "training": {"seed": 7}}
    assert parse_config(old).split.split_seed == 7
    assert parse_config(old | {"split": {"split_seed": 2}}).split.split_seed == 2
    assert (
        RunConfig(data=DataConfig(database="lda.db"), training=TrainingConfig(seed=7)).split.split_seed == 0
    )
