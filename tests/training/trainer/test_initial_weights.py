"""Where a run's first weights come from: another model, whose classes may differ."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import TOML, held_out_pool, started, training_pool, use_tiny

from mfnet.model.classes import ISPRS, MMHUNAN, ClassScheme, LandClass
from mfnet.model.errors import BadRecipe, UnknownModel
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import load_model, save
from mfnet.training.config.recipe import Recipe, parse_recipe
from mfnet.training.datasets.sources.synthetic_towns import draw_pool
from mfnet.training.trainer import loop
from mfnet.training.trainer.parent_classes import HEAD, inherited_weights, parent_classes
from mfnet.training.trainer.resume_checkpoint import load_state
from mfnet.training.trainer.run_state import Run

OURS = ClassScheme(
    name="ours",
    classes=(
        LandClass(name="tree", title="Tree", color="#00ff00"),
        LandClass(name="pond", title="Pond", color="#0000ff"),
        LandClass(name="building", title="Building", color="#ff0000"),
    ),
)


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)


@pytest.fixture
def parent(tmp_path: Path) -> MFNet:
    """A model of random weights, installed as "old"."""
    torch.manual_seed(5)
    net = MFNet(parse_recipe(TOML).model_config_for())
    save(net, tmp_path / "old.safetensors")
    return net


def child(*changes: str) -> Recipe:
    return parse_recipe(TOML, ["network.parent=old", *changes])


def test_a_run_starts_from_its_parents_weights(tmp_path: Path, parent: MFNet) -> None:
    run = started(child(), tmp_path)
    theirs, ours = parent.state_dict(), run.net.state_dict()
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
    assert run.remarks == ()


def test_rows_of_the_head_follow_their_class_and_others_are_new(
    tmp_path: Path, parent: MFNet
) -> None:
    run = started(child(), tmp_path, OURS)
    theirs, ours = parent.state_dict(), run.net.state_dict()
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items() if name != HEAD)
    tree, pond, building = ours[HEAD]
    assert torch.equal(tree, theirs[HEAD][ISPRS.names.index("tree")])
    assert torch.equal(building, theirs[HEAD][ISPRS.names.index("building")])
    assert not any(torch.equal(pond, row) for row in theirs[HEAD])
    (remark,) = run.remarks
    assert "'ours', the parent's 'isprs'" in remark
    assert "new for pond, and kept for tree, building" in remark
    assert run.net.config.classes == OURS


def test_a_scheme_without_a_common_class_has_a_new_head(tmp_path: Path, parent: MFNet) -> None:
    (remark,) = started(child(), tmp_path, MMHUNAN).remarks
    assert "kept for none" in remark


def test_a_class_of_another_name_goes_on_from_what_the_parent_sees_there(
    monkeypatch: pytest.MonkeyPatch, parent: MFNet
) -> None:
    """The parent is right about every pixel here, and the classes have other names."""
    own = tuple(
        LandClass(name=f"own_{each.name}", title=each.title, color=each.color)
        for each in ISPRS.classes
    )
    scheme = ClassScheme(name="own", classes=(*own[1:], own[0]))
    seen = np.asarray([5, 0, 1, 2, 3, 4], np.uint8)  # of ISPRS's, by the place in `scheme`
    pool = training_pool()
    sample = draw_pool([1], 160, 0.125, workers=1).sample(0, 160, seed=0)
    truth = np.where(sample.truth == 255, 255, seen[np.minimum(sample.truth, 5)])
    monkeypatch.setattr(
        "mfnet.training.trainer.parent_classes.mapped", lambda net, window: sample.truth
    )
    monkeypatch.setattr(pool, "sample", lambda *_, **__: replace(sample, truth=truth))
    found = parent_classes(scheme, parent, pool)
    there = {f"own_{ISPRS.names[value]}" for value in np.unique(sample.truth) if value != 255}
    assert found == {name: name.removeprefix("own_") for name in there}
    assert len(found) >= 3


def test_a_network_of_the_parents_classes_by_other_names_maps_as_the_parent() -> None:
    torch.manual_seed(1)
    recipe = parse_recipe(TOML, ["network.detail_channels=16"])
    parent = MFNet(recipe.model_config_for()).eval()
    torch.nn.init.normal_(parent.get_parameter("detail.head.weight"))
    net = MFNet(recipe.model_config_for(classes=OURS)).eval()
    classes = {"tree": "tree", "pond": "clutter", "building": "building"}
    net.load_state_dict(inherited_weights(net, parent, classes))
    inputs = {"ortho": torch.rand(1, 3, 160, 160), "ndsm": torch.rand(1, 1, 160, 160)}
    # Only what the parent's other classes gave the head at full resolution is missing.
    enter = parent.get_parameter("detail.enter.weight")
    with torch.no_grad():
        for name in set(ISPRS.names) - set(classes.values()):
            enter[:, ISPRS.names.index(name) - len(ISPRS)] = 0
    with torch.inference_mode():
        theirs, ours = parent(inputs), net(inputs)
    rows = [ISPRS.names.index(name) for name in classes.values()]
    torch.testing.assert_close(ours, theirs[:, rows], rtol=1e-4, atol=1e-4)


def test_another_range_of_heights_is_said(tmp_path: Path, parent: MFNet) -> None:
    (remark,) = started(child("network.height_range_m=[0, 10]"), tmp_path).remarks
    assert "ndsm of 0 to 10 become 0 to 1; for the parent 0 to 30" in remark


def test_a_parents_encoder_may_stay_frozen(tmp_path: Path, parent: MFNet) -> None:
    recipe = child("network.train_encoder=false", "optimizer.steps=1")
    run = started(recipe, tmp_path)
    assert not any(p.requires_grad for p in run.net.encoder.vit.parameters())
    net = load_model(finished_from(run, tmp_path / "out"))
    frozen = {name for name in parent.state_dict() if name.startswith("encoder.vit.")}
    for name in frozen:
        expected = parent.state_dict()[name].half().float()
        assert torch.equal(net.state_dict()[name], expected)
    again = started(recipe, tmp_path)
    load_state(again, tmp_path / "out" / "state.pt")
    assert all(
        torch.equal(again.net.state_dict()[name], weight)
        for name, weight in run.net.state_dict().items()
    )


def test_a_run_does_not_go_on_from_another_parent(tmp_path: Path, parent: MFNet) -> None:
    run = started(child("optimizer.steps=1"), tmp_path)
    finished_from(run, tmp_path / "out")
    torch.manual_seed(6)
    save(MFNet(parent.config), tmp_path / "old.safetensors")
    with pytest.raises(BadRecipe, match=r"parent was [0-9a-f]{64}, is [0-9a-f]{64}"):
        load_state(started(child("optimizer.steps=1"), tmp_path), tmp_path / "out" / "state.pt")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("network.tuning=lora", "tuning is 'lora', the parent's 'mmadapter'"),
        ('network.modalities=["ortho"]', "modalities are ortho, the parent's ortho, ndsm"),
        ("network.encoder=small", "encoder is .*embed_dim=160.*the parent's .*embed_dim=16"),
    ],
)
def test_another_network_is_no_parent(
    tmp_path: Path, parent: MFNet, change: str, words: str
) -> None:
    with pytest.raises(BadRecipe, match=words):
        started(child(change), tmp_path)


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="'old'"):
        started(child(), tmp_path)


def finished_from(run: Run, out: Path) -> Path:
    return loop.train(run, training_pool(), held_out_pool(), out)


@pytest.fixture
def base(tmp_path: Path) -> MFNet:
    """A model of the orthophoto alone whose encoder stands alone, installed as "seeing"."""
    torch.manual_seed(6)
    alone = ["network.tuning=none", 'network.modalities=["ortho"]']
    net = MFNet(parse_recipe(TOML, alone).model_config_for())
    save(net, tmp_path / "seeing.safetensors")
    return net


def on_base(*changes: str) -> Recipe:
    return parse_recipe(TOML, ["network.base=seeing", "network.train_encoder=false", *changes])


def test_a_models_encoder_takes_the_place_of_sams(tmp_path: Path, base: MFNet) -> None:
    run = started(on_base(), tmp_path)
    theirs, ours = base.encoder.vit.state_dict(), run.net.encoder.vit.state_dict()
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
    assert not any(p.requires_grad for p in run.net.encoder.vit.parameters())
    assert run.net.config.classes == ISPRS
    assert len(run.net.config.modalities) == 2


def test_the_encoder_of_another_model_is_the_same_after_training(
    tmp_path: Path, base: MFNet
) -> None:
    path = loop.train(
        started(on_base("optimizer.steps=2"), tmp_path),
        training_pool(),
        held_out_pool(),
        tmp_path / "run",
    )
    (tmp_path / "seeing.safetensors").unlink()  # the model is whole without it
    kept = load_model(path).encoder.vit.state_dict()
    for name, weight in base.encoder.vit.state_dict().items():
        assert torch.equal(kept[name], weight.half().float())


def test_a_base_of_another_shape_or_with_tuning_is_refused(tmp_path: Path, base: MFNet) -> None:
    with pytest.raises(BadRecipe, match=r"network\.encoder is .*, that of network\.base 'seeing'"):
        started(on_base("network.encoder=small"), tmp_path)
    tuned = base.config.model_copy(update={"tuning": "adapter"})
    save(MFNet(tuned), tmp_path / "tuned.safetensors")
    with pytest.raises(BadRecipe, match="has the tuning 'adapter'"):
        started(on_base("network.base=tuned"), tmp_path)
    with pytest.raises(BadRecipe, match="one of both"):
        on_base("network.parent=seeing")


def test_a_run_goes_on_only_from_the_same_base(tmp_path: Path, base: MFNet) -> None:
    out = tmp_path / "run"
    recipe = on_base("optimizer.steps=1")
    loop.train(started(recipe, tmp_path), training_pool(), held_out_pool(), out)
    torch.manual_seed(7)
    save(MFNet(base.config), tmp_path / "seeing.safetensors")
    with pytest.raises(BadRecipe, match="encoder was"):
        load_state(started(recipe, tmp_path), out / "state.pt")
