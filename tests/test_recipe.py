"""Recipes: what they accept, what they refuse, and that they survive JSON and TOML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hashrec.bucketing import METHODS
from hashrec.codes import CODERS, FloatCodes, IntCodes, SignCodes
from hashrec.encoders import ENCODERS, LightGcn, Spectral, TrainedEncoder
from hashrec.errors import RecipeError
from hashrec.interactions import SPLITS, Cleaning, LastOut, UserSplit
from hashrec.learning import LOSSES, SAMPLERS, Table, Training
from hashrec.recipe import Recipe


def of(*settings: str, toml: Path | None = None) -> Recipe:
    return Recipe.from_toml(toml, settings)


FULL = Recipe(
    seed=7,
    data=Cleaning(min_rating=3.5, user_core=5),
    encoder=Spectral(dim=96, degree_exponent=0.1),
    codes=IntCodes(bits=3, clip="max", rotation="hadamard"),
    users="stored",
    user_codes=SignCodes(scale="none"),
    holdout=LastOut(),
)

# What belongs to encoders that train, nothing left as it was.
LEARNED = Recipe(
    encoder=LightGcn(dim=32, layers=3, start="normal"),
    table=Table(method="balanced", rows=0.5),
    training=Training(
        loss={"name": "bpr", "sampler": {"name": "hard", "best": 50}, "negatives": 4},
        epochs=7, batch=100, accumulate=2, learning_rate=0.5, schedule="constant", warmup=0,
        decay=0.1, valid=0.2, every=2, patience=1, refit=False, device="cuda",
        precision="float32",
    ),
)  # fmt: skip


# --- round trips ------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [Recipe(), FULL, LEARNED], ids=["default", "full", "learned"])
def test_a_recipe_survives_its_dictionary_and_json(recipe: Recipe) -> None:
    options = recipe.to_dict()
    assert Recipe.from_dict(options) == recipe
    assert Recipe.from_dict(json.loads(json.dumps(options, allow_nan=False))) == recipe
    assert Recipe.from_dict(options).to_dict() == options


def test_the_dictionary_holds_every_field_with_its_method_named_first() -> None:
    options = FULL.to_dict()
    assert list(options) == list(Recipe.model_fields)
    assert options["codes"] == {"name": "int", "bits": 3, "clip": "max", "rotation": "hadamard"}
    assert next(iter(options["encoder"])) == "name"
    assert options["seed"] == 7


@pytest.mark.parametrize(
    ("field", "name"),
    [("encoder", name) for name in ENCODERS]
    + [("codes", name) for name in CODERS]
    + [("user_codes", name) for name in CODERS]
    + [("holdout", name) for name in SPLITS],
)
def test_every_registered_method_makes_a_recipe_that_round_trips(field: str, name: str) -> None:
    recipe = Recipe.from_dict({field: name, "users": "stored"})
    assert getattr(recipe, field).name == name
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("name", list(METHODS))
def test_every_bucket_method_makes_a_table_that_round_trips(name: str) -> None:
    recipe = of(f"table.method={name}")
    assert recipe.table.method.name == name
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_and_its_samplers_round_trip(name: str) -> None:
    settings: list[list[str]] = [[]]
    if "sampler" in LOSSES[name].model_fields:
        settings += [[f"training.loss.sampler={sampler}"] for sampler in SAMPLERS]
    for setting in settings:
        recipe = of(f"training.loss={name}", *setting)
        assert recipe.training.loss.name == name
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
        assert all(one.split("=")[1] in json.dumps(recipe.to_dict()) for one in setting)


def test_sections_hold_options_without_a_method_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        """
        encoder = "lightgcn"
        [table]
        rows = 0.25
        [table.method]
        name = "graph"
        largest = 0.1
        [training]
        epochs = 4
        [training.loss]
        name = "bpr"
        negatives = 3
        """,
        encoding="utf-8",
    )
    recipe = of("training.patience=9", "training.loss.sampler=popularity", toml=path)
    assert recipe.table == Table(method={"name": "graph", "largest": 0.1}, rows=0.25)
    loss = {"name": "bpr", "negatives": 3, "sampler": "popularity"}
    assert recipe.training == Training(epochs=4, patience=9, loss=loss)
    assert recipe.encoder == LightGcn()


def test_options_without_a_name_are_of_the_default_method() -> None:
    """A budget for tables of graph communities; the temperature of the softmax."""
    recipe = of("table.method.largest=0.5", "table.rows=0.5", "training.loss.temperature=0.2")
    assert recipe.table == Table(method={"name": "graph", "largest": 0.5}, rows=0.5)
    assert recipe.training.loss == LOSSES["softmax"](temperature=0.2)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", list(ENCODERS))
@pytest.mark.parametrize("users", ["auto", "computed", "stored"])
def test_users_are_stored_where_they_were_learned(name: str, users: str) -> None:
    recipe = of(f"encoder={name}", f"users={users}")
    learned = isinstance(recipe.encoder, TrainedEncoder)
    assert learned == (name != "spectral")
    wanted = {"auto": not learned, "computed": True, "stored": False}
    assert recipe.users_are_computed == wanted[users]
    assert recipe.to_dict()["users"] == users


def test_toml_reads_as_the_same_recipe(tmp_path: Path) -> None:
    text = """
        seed = 7
        users = "stored"
        [data]
        min_rating = 3.5
        user_core = 5
        [encoder]
        name = "spectral"
        dim = 96
        degree_exponent = 0.1
        [codes]
        name = "int"
        bits = 3
        clip = "max"
        rotation = "hadamard"
        [user_codes]
        name = "sign"
        scale = "none"
        [holdout]
        name = "last"
    """
    path = tmp_path / "r.toml"
    path.write_text(text.replace('"last"', f'"{LastOut.name}"'), encoding="utf-8")
    assert of(toml=path) == FULL


def test_the_default_recipe_is_a_one_bit_spectral_model() -> None:
    recipe = Recipe()
    assert (recipe.encoder, recipe.codes) == (Spectral(dim=512), SignCodes())
    assert (recipe.users, recipe.user_codes) == ("auto", FloatCodes(bits=32))
    assert recipe.holdout == UserSplit(test=0.2)


def test_full_precision_takes_the_rounding_out_and_nothing_else() -> None:
    exact = FULL.full_precision()
    assert (exact.codes, exact.user_codes) == (FloatCodes(), FloatCodes())
    assert exact.model_copy(update={"codes": FULL.codes, "user_codes": FULL.user_codes}) == FULL
    assert LEARNED.full_precision().training == LEARNED.training


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("seed=12", "seed", 12),
        ("encoder.dim=96", "encoder.dim", 96),
        ("encoder.degree_exponent=0.5", "encoder.degree_exponent", 0.5),
        ("encoder.tolerance=1e-3", "encoder.tolerance", 1e-3),
        ("data.min_rating=4", "data.min_rating", 4.0),
        ("data.min_rating=null", "data.min_rating", None),
        ("users=stored", "users", "stored"),
        ('users="stored"', "users", "stored"),
        ("codes.rotation=hadamard", "codes.rotation", "hadamard"),
        ("holdout.test=0.1", "holdout.test", 0.1),
    ],
)
def test_a_setting_reaches_its_field(setting: str, path: str, value: Any) -> None:
    found: Any = of(setting)
    for part in path.split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        (["codes.bits=1"], SignCodes()),
        (["codes.bits=2"], IntCodes(bits=2)),
        (["codes.bits=8"], IntCodes(bits=8)),
        (["codes.bits=16"], FloatCodes(bits=16)),
        (["codes.bits=32"], FloatCodes(bits=32)),
        (["codes=int"], IntCodes()),
        (["codes.name=int"], IntCodes()),
        (["codes=int", "codes.bits=4"], IntCodes(bits=4)),
        (["codes=int", "codes.clip=max"], IntCodes(clip="max")),
        (["codes.bits=4", "codes.name=int"], IntCodes(bits=4)),
        (["codes.bits=4", "codes.clip=max"], IntCodes(bits=4, clip="max")),
        (["codes.scale=none"], SignCodes(scale="none")),
        (['codes={"name": "int", "bits": 5}'], IntCodes(bits=5)),
        (['codes={"bits": 5}'], IntCodes(bits=5)),
        (["codes.bits=4", "codes.bits=6"], IntCodes(bits=6)),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_bits_alone_choose_the_code(settings: list[str], codes: Any) -> None:
    assert of(*settings).codes == codes


def test_bits_alone_choose_the_code_of_users_too() -> None:
    assert of("user_codes.bits=1").user_codes == SignCodes()
    assert of("user_codes.bits=4").user_codes == IntCodes(bits=4)


def test_a_new_name_takes_the_options_of_the_old_method_away(tmp_path: Path) -> None:
    """`scale` is of sign codes: with `codes=int` laid over it, the file's section is replaced."""
    path = tmp_path / "r.toml"
    path.write_text('[codes]\nname = "sign"\nscale = "none"\n', encoding="utf-8")
    assert of(toml=path).codes == SignCodes(scale="none")
    assert of("codes=int", toml=path).codes == IntCodes()


def test_settings_are_laid_over_the_file_one_key_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("seed = 3\n[encoder]\ndim = 64\ndegree_exponent = 0.5\n", encoding="utf-8")
    recipe = of("encoder.dim=32", toml=path)
    assert (recipe.seed, recipe.encoder) == (3, Spectral(dim=32, degree_exponent=0.5))


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "codes.bit=2",
            "unknown key codes.bit, known are bits, rotation, scale .did you mean bits",
        ),
        ("encodr.dim=3", "unknown key encodr, .*did you mean encoder"),
        ("encoder.dmi=3", "unknown key encoder.dmi, .*did you mean dim"),
        ("data.min_ratng=3", "unknown key data.min_ratng, .*did you mean min_rating"),
        ("holdout.tset=0.1", "unknown key split.tset, .*did you mean test"),
        (
            "codes=sing",
            "unknown codes 'sing'; expected one of float, .+ Did you mean sign",
        ),
        ("encoder=lightgnc", "unknown encoder 'lightgnc'; .*spectral.*Did you mean lightgcn"),
        ("encoder.name=3", "unknown encoder '3'"),
        ("encoder=3", "not a registered encoder: 3; expected one of spectral"),
        ("codes.bits=9", "codes.bits: input should be less than or equal to 8, got 9"),
        ("codes.bits=two", "codes.bits: input should be a valid integer.*got 'two'"),
        ("encoder.dim=0", "encoder.dim: input should be greater than or equal to 1, got 0"),
        ("encoder.degree_exponent=NaN", "encoder.degree_exponent: input should be.*got nan"),
        ("seed=-1", "seed: input should be greater than or equal to 0, got -1"),
        ("seed.x=1", "seed: input should be a valid integer, got"),
        ("users=kept", "users: input should be 'auto', 'computed' or 'stored', got 'kept'"),
        ("table=graph", "table: input should be.*got 'graph'"),
        ("table.row=0.5", "unknown key table.row, .*did you mean rows"),
        ("table.method=grph", "unknown bucket method 'grph'.*Did you mean graph"),
        ("table.rows=0.5", "table.rows: a full table has a row for each id.*table.method=graph"),
        ("table.item_rows=5", "table.item_rows: a full table has a row for each id"),
        ("training.epoch=3", "unknown key training.epoch, .*did you mean epochs"),
        ("training.loss=sofmax", "unknown loss 'sofmax'; .*Did you mean softmax"),
        ("training.loss.temperature=0", "loss.temperature: input should be greater than 0, got 0"),
        ("training.every=0", "training.every: input should be greater than or equal to 1, got 0"),
        ("data=5", "data: input should be.*got 5"),
        ("data.min_rating=Infinity", "data.min_rating: input should be a finite number, got inf"),
        ("encoder.dim", "cannot read the setting 'encoder.dim'; expected key=value"),
        ("=3", "cannot read the setting '=3'; expected key=value"),
        ("", "cannot read the setting ''; expected key=value"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(setting: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        of(setting)


def test_a_setting_inside_a_plain_value_is_refused() -> None:
    with pytest.raises(RecipeError, match="seed has no keys inside, so seed.x cannot be set"):
        of("seed=3", "seed.x=1")


def test_all_that_is_wrong_in_one_section_is_said_at_once() -> None:
    with pytest.raises(RecipeError, match="encoder.dim: .*got 0; .*unknown key encoder.dmi"):
        of("encoder.dim=0", "encoder.dmi=1")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no.toml: the recipe cannot be read; got No such file"):
        of(toml=tmp_path / "no.toml")


@pytest.mark.parametrize(
    "content", [b"seed = = 3", b"[codes", b"\xff\xfe"], ids=["twice", "open", "no text"]
)
def test_broken_toml_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="r.toml: the recipe is not TOML; expected TOML; got"):
        of(toml=path)


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().seed = 3
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().encoder.dim = 3  # type: ignore[attr-defined]


def test_the_callers_options_are_not_changed() -> None:
    options: dict[str, Any] = {"codes": {"bits": 4}, "data": {"name": "cleaning", "user_core": 2}}
    copy = json.loads(json.dumps(options))
    recipe = Recipe.from_dict(options)
    assert options == copy
    assert (recipe.codes, recipe.data.user_core) == (IntCodes(bits=4), 2)
