"""Losses by hand, pseudo-anomalies, and whole small trainings."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pcsnet_torch import (
    anomalies,
    backbone,
    bundle,
    cli,
    data,
    decoder,
    evaluate,
    losses,
    preprocess,
    prototypes,
    recipes,
    train,
)
from pcsnet_torch.config import ModelConfig
from pcsnet_torch.descriptor import nearest_distances
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.randomise import random_model

R = torch.tensor([1.0])


def test_compactness_by_hand():
    d = torch.tensor([0.5, 1.0, 3.0]).view(1, 3, 1, 1)
    assert losses.compactness(d, R).item() == pytest.approx((0 + 0 + 2) / 3 / 1e-3)


def test_separation_by_hand():
    """(r + alpha)^2 = 1.44; only the second of two positions is masked."""
    d = torch.tensor([[0.0, 1.0], [0.0, 1.24], [0.0, 2.0]]).view(1, 3, 1, 2)
    mask = torch.tensor([False, True]).view(1, 1, 1, 2)
    assert losses.separation(d, mask, R).item() == pytest.approx((0.44 + 0.2 + 0) / 3 / 1e-3, rel=1e-5)
    nothing = losses.separation(d.requires_grad_(), mask & False, R)
    nothing.backward()
    assert nothing.item() == 0


def test_separation_as_coded_by_hand():
    """One prototype, one row of four positions at distance 1.24, of which two are masked: zeros come first."""
    mask = torch.tensor([0.0, 1, 1, 0]).view(1, 1, 1, 4)
    found = losses.separation_as_coded(torch.full((1, 1, 1, 4), 1.24), mask, R)
    assert found.item() == pytest.approx((1.44 + 1.44 + 0.2) / 3 / 1e-3, rel=1e-5)


def test_disparity_by_hand():
    """Of 3 x 64 distances the 50 largest count: images at 0 and 1, the second abnormal."""
    d = torch.zeros(2, 3, 8, 8)
    d.view(2, -1)[1, :50] = 1
    assert losses.disparity(d, torch.tensor([0.0, 1])).item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert losses.disparity(d, torch.tensor([1.0, 0])).item() == pytest.approx(math.log(1 + math.e))


def test_balanced_segmentation_by_hand():
    maps, masks = torch.tensor([0.5, 0, 0, 2]).view(1, 1, 2, 2), torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    assert losses.balanced_segmentation(maps, masks).item() == pytest.approx(0.25 + 4 / 3)
    assert losses.balanced_segmentation(maps, masks * 0).item() == pytest.approx(4.25 / 4)


def test_total_is_the_papers_sum():
    assert losses.total({"NFC": 1.0, "AFS": 10.0, "PDC": 0.1, "SEG": 0.01}) == pytest.approx(1 + 10 + 5 + 0.4)


def test_gradients_are_autograds():
    torch.manual_seed(0)
    phi, prototypes = torch.randn(2, 5, 4, 3, dtype=torch.double, requires_grad=True), torch.randn(5, 20).double()
    weights = torch.randn(2, 6, 4, 3).double()
    (nearest_distances(phi, prototypes, 6) * weights).sum().backward()
    ours, phi.grad = phi.grad, None
    plain = torch.cdist(phi.flatten(2).transpose(1, 2), prototypes.t()).topk(6, largest=False).values
    (plain.transpose(1, 2).reshape(weights.shape) * weights).sum().backward()
    assert (ours - phi.grad).abs().max() < 1e-10


# --- pseudo-anomalies ---

def photograph(rng, side=64):
    return rng.integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_half_widths_keep_their_bounds():
    rng = np.random.default_rng(0)
    drawn = [anomalies.half_width(200, (0.05, 0.2), rng) for _ in range(500)]
    assert min(drawn) >= 10 and max(drawn) == 40
    # The mean of 0.03 + Gamma(2, 0.05) is 0.13; bounds this wide clip next to nothing.
    wide = np.mean([anomalies.half_width(1000, (0, 1), rng) for _ in range(4000)])
    assert wide == pytest.approx(130, rel=0.03)


def test_masks_show_where_pixels_changed():
    rng = np.random.default_rng(1)
    image = photograph(rng)
    for _ in range(20):
        changed, mask = anomalies.make(image, anomalies.Anomalies(patches=3), rng)
        inside = np.abs(changed.astype(int) - image).mean(2) > 1
        assert mask.any() and (inside & mask).sum() > 0.95 * mask.sum()
    flat, mask = anomalies.make(np.full((32, 32, 3), 9, np.uint8), anomalies.Anomalies(), rng)
    assert not mask.any() and (flat == 9).all()


def test_patches_take_and_hit_the_object():
    """A bright square on a dark background: what is pasted comes from it and overlaps it."""
    rng = np.random.default_rng(2)
    image = np.zeros((100, 100, 3), np.uint8)
    image[30:70, 30:70] = rng.integers(100, 256, (40, 40, 3))
    settings = anomalies.Anomalies((0.05, 0.1), (0.05, 0.1), 1, (0, 50), 0.7)
    objects = anomalies.object_mask(image, (0, 50))
    assert objects[32:68, 32:68].all() and not objects[:29].any()
    for _ in range(20):
        _, mask = anomalies.make(image, settings, rng)
        assert (mask & objects).any()


def test_varied_anomalies_change_only_what_their_mask_shows():
    rng = np.random.default_rng(3)
    image = photograph(rng, 100)
    shares = []
    for _ in range(60):
        changed, mask = anomalies.make_varied(image, rng)
        change = np.abs(changed.astype(int) - image).mean(2)
        assert changed.dtype == np.uint8 and changed.shape == image.shape
        # Soft edges reach a little beyond the mask.
        assert change[mask].mean() > 4 * change[~mask].mean() if mask.any() else not change.any()
        shares.append(mask.mean())
    assert 0 < np.median(shares) < 0.1 and np.mean(np.array(shares) > 0) > 0.9


def test_augmented_images_keep_size_and_nearly_their_brightness():
    rng = np.random.default_rng(4)
    image = photograph(rng, 100)
    for _ in range(20):
        other = anomalies.augment(image, rng)
        assert other.shape == image.shape and other.dtype == np.uint8
        assert abs(other.mean() - image.mean()) < 20 and not np.array_equal(other, image)


def test_categories():
    assert anomalies.of_category("unheard of") == anomalies.Anomalies((0.03, 0.4), (0.03, 0.4), 1, None)
    assert anomalies.of_category("screw").min_object == 0.5
    assert [anomalies.descriptor_of(c) for c in ("screw", "bottle", "")] == ["rotation", "plain", "plain"]


# --- whole trainings ---

@pytest.fixture
def folder(tmp_path):
    """Smooth, similar images in the MVTec AD layout; the defect is a bright square."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:64, 0:64]
    base = 120 + 60 * np.sin(x / 9) + 30 * np.cos(y / 7)

    def write(path, defect=False):
        image = base + rng.normal(0, 4, base.shape)
        if defect:
            image[20:40, 20:40] = 250
            mask = tmp_path / "ground_truth" / "spot" / f"{path.stem}_mask.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(((y // 20 == 1) & (x // 20 == 1)).astype(np.uint8) * 255).save(mask)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)

    for i in range(5):
        write(tmp_path / "train" / "good" / f"{i}.png")
        write(tmp_path / "test" / "good" / f"{i}.png")
        write(tmp_path / "test" / "spot" / f"{i}.png", defect=True)
    return tmp_path


def small_run(small_json, descriptor="plain"):
    config = ModelConfig.from_json(json.dumps({**json.loads(small_json), "descriptor": descriptor}))
    weights = random_model(config, 1).backbone.state_dict()
    return config, {n: t for n, t in weights.items() if not n.endswith("num_batches_tracked")}


def trainer_of(small_json, folder, descriptor="plain", **settings):
    config, weights = small_run(small_json, descriptor)
    images = data.read_all(data.draw_shots(folder, 4, 0))
    return train.Trainer(config, weights, images, train.Settings(fit="stretch", shots=4, **settings))


@pytest.mark.parametrize("recipe", recipes.RECIPES)
@pytest.mark.parametrize("descriptor", ["plain", "rotation"])
def test_training_lowers_the_loss(small_json, folder, descriptor, recipe, monkeypatch):
    monkeypatch.setattr(recipes.RECIPES[recipe], "adaptor_rate", 1e-2)
    trainer = trainer_of(small_json, folder, descriptor, recipe=recipe)
    frozen = {n: t.clone() for n, t in trainer.model.backbone.state_dict().items()}
    prototypes = trainer.model.adaptor.C.clone()
    first = trainer.run_epoch()
    for _ in range(7):
        last = trainer.run_epoch()
    assert set(first) == {"NFC", "AFS", "PDC", "SEG"} and all(math.isfinite(v) for v in last.values())
    assert losses.total(last) < 0.9 * losses.total(first)
    assert torch.equal(trainer.model.adaptor.C, prototypes)
    assert all(torch.equal(t, frozen[n]) for n, t in trainer.model.backbone.state_dict().items())


def test_held_out_starts_from_the_distance_to_other_shots(small_json, folder):
    trainer = trainer_of(small_json, folder)
    model, recipe = trainer.model.eval(), trainer.recipe
    with torch.no_grad():
        features = trainer.features(trainer.pixels)
        phi = trainer.describe(features)
        # The descriptor hands the features on; the coreset's members are among them, each with its image.
        plain = evaluate.untrained_descriptor(features, model.config.grid)
        assert (phi - plain).abs().max() < 1e-5
        every = phi.permute(0, 2, 3, 1).flatten(1, 2)
        for j in range(0, model.config.prototypes, 17):
            own = every[recipe.owner[j]] - model.adaptor.C[:, j]
            assert own.norm(dim=1).min() < 1e-4
        # Distances without a shot's own prototypes, one by one.
        score = nearest_distances(phi, model.adaptor.C, model.config.nearest, recipe.own(range(4)))
        for i in range(4):
            others = model.adaptor.C[:, recipe.owner != i]
            expected = torch.cdist(every[i], others.t()).min(1).values
            assert (score[i, 0].flatten() - expected).abs().max() < 1e-3
        assert score[:, 0].mean() == pytest.approx(1, abs=1e-4)
        # The finest of these bins is 15 of a grid of 16.
        slope, offset = model.cas.cls[3].weight[0, 0].item(), model.cas.cls[3].bias.item()
        logits = model.cas(phi[:, : model.config.guide], score)
        expected = slope * decoder.resize(decoder.resize(score[:, :1], 15), 16) + offset
        assert slope > 0 and (logits - expected).abs().max() < 1e-4


def test_a_coreset_covers_better_than_chance():
    rng = np.random.default_rng(0)
    # Most points lie in one cluster, a few elsewhere.
    points = torch.randn(2, 5, 16, 16)
    points[:, :, 0, :4] += 40 * torch.randn(2, 5, 4)
    chosen, owner = prototypes.coreset(points, 20, rng)
    every = points.permute(0, 2, 3, 1).flatten(0, 2)
    reach = torch.cdist(every, chosen.t()).min(1).values.max()
    random = every[torch.as_tensor(rng.choice(512, 20, replace=False))]
    assert reach < 0.5 * torch.cdist(every, random).min(1).values.max()
    assert chosen.shape == (5, 20) and len(set(map(tuple, chosen.t().tolist()))) == 20
    assert all((every[256 * o : 256 * (o + 1)] == c).all(1).any() for c, o in zip(chosen.t(), owner))


def test_held_out_refuses_too_few_prototypes(small_json, folder):
    config, weights = small_run(small_json)
    images = data.read_all(data.draw_shots(folder, 2, 0))
    crowded = dataclasses.replace(config, prototypes=16)
    with pytest.raises(PcsnetError, match="12 nearest distances, but without its own a shot is left with"):
        train.Trainer(crowded, weights, images, train.Settings(fit="stretch", shots=2))
    with pytest.raises(PcsnetError, match="600 prototypes, but 2 shots have 512 positions only"):
        train.Trainer(dataclasses.replace(config, prototypes=600), weights, images,
                      train.Settings(fit="stretch", shots=2))


def test_rates_fall(small_json, folder):
    trainer = trainer_of(small_json, folder, epochs=4)
    rates = []
    for _ in range(4):
        trainer.run_epoch()
        rates.append([group["lr"] for group in trainer.optimiser.param_groups])
    factors = [1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4]
    assert np.array(rates) == pytest.approx(np.outer(factors, [1e-3, 1e-4]))


@pytest.mark.parametrize("descriptor", ["plain", "rotation"])
def test_scales_are_folded_into_the_descriptor(small_json, folder, descriptor):
    trainer = trainer_of(small_json, folder, descriptor)
    trainer.run_epoch()
    model = trainer.trained_model()
    trainer.model.eval()
    with torch.no_grad():
        expected = trainer.describe(trainer.features(trainer.pixels))
        image = torch.stack([train.to_tensor(p, model.config) for p in trainer.pixels])
        assert (model.describe(image) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(small_json, folder, tmp_path, monkeypatch):
    config, weights = small_run(small_json)
    def run(out, **changes):
        return train.train(
            folder, config, weights, train.Settings(fit="stretch", shots=4, epochs=3, **changes), tmp_path / out)
    whole = run("whole.safetensors")
    epoch = train.Trainer.run_epoch

    def interrupted(self):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return epoch(self)

    monkeypatch.setattr(train.Trainer, "run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("parts.safetensors")
    monkeypatch.undo()
    with pytest.raises(PcsnetError, match="other settings"):
        run("parts.safetensors", seed=7)
    parts = run("parts.safetensors")
    assert all(torch.equal(t, parts.state_dict()[n]) for n, t in whole.state_dict().items())
    assert not (tmp_path / "parts.safetensors.checkpoint").exists()
    again, metadata = bundle.load(tmp_path / "parts.safetensors")
    assert (metadata["pcsnet.fit"], metadata["pcsnet.shots"], metadata["pcsnet.seed"]) == ("stretch", "4", "0")
    assert all(torch.equal(t, parts.state_dict()[n]) for n, t in again.state_dict().items())


def test_train_and_evaluate_from_the_command_line(folder, tmp_path, capsys):
    torch.manual_seed(0)
    net = backbone.build(ModelConfig.by_name("resnet18", "plain").backbone)
    torch.save(net.state_dict(), tmp_path / "resnet18.pth")
    out = str(tmp_path / "m.safetensors")
    cli.main(["train", str(folder), "--backbone", str(tmp_path / "resnet18.pth"), "--fit", "stretch", "--shots", "2",
              "--epochs", "1", "--width", "16", "--grid", "16", "--nearest", "20", "--out", out])
    cli.main(["evaluate", "--model", out, str(folder), "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert "| prototypes | all | 10 |" in capsys.readouterr().out
    found = [(row["method"], row["defect"]) for row in rows[:3]]
    assert found == [("prototypes", "all"), ("prototypes", "spot"), ("patches", "all")]
    # The defect is plain to see, even for a random backbone.
    assert rows[0]["image AUROC"] == 1 and rows[0]["pixel AUROC"] > 0.9 and rows[0]["AUPRO"] > 0.5


def test_release_rounds_and_calibrates(small_json, folder, tmp_path, capsys):
    config, weights = small_run(small_json)
    trained = str(tmp_path / "m.safetensors")
    settings = train.Settings(fit="stretch", shots=2, epochs=1)
    model = train.train(folder, config, weights, settings, trained)
    out = str(tmp_path / "out.safetensors")
    with pytest.raises(SystemExit, match="holds 3 normal images that the model was not trained on"):
        cli.main(["release", str(folder), "--model", trained, "--out", out])
    shots = {path.name for path in data.draw_shots(folder, 2, 0)}
    for i in range(5, 9):
        (folder / "train" / "good" / f"{i}.png").write_bytes((folder / "train" / "good" / f"{i - 5}.png").read_bytes())
    held_back = [path for path in data.normal_images(folder) if path.name not in shots]
    cli.main(["release", str(folder), "--model", trained, "--out", out])
    assert hashlib.sha256(Path(out).read_bytes()).hexdigest() in capsys.readouterr().out
    released, metadata = bundle.load(out)
    for name, tensor in released.state_dict().items():
        assert bundle.is_ignored(name) or torch.equal(tensor, model.state_dict()[name].half().float())
    scores = [released.anomaly_map(preprocess.load_input(path, config, "stretch")).max().item() for path in held_back]
    threshold = np.mean(scores) + 3 * np.std(scores, ddof=1)
    assert float(metadata["pcsnet.threshold"]) == pytest.approx(threshold, rel=1e-4)
    low, high = map(float, metadata["pcsnet.scale"].split(","))
    assert low < threshold and (low + high) / 2 == pytest.approx(threshold, rel=1e-4)
    assert metadata["pcsnet.shots"] == "2"


def test_accuracy_runs_once_and_tabulates(folder, tmp_path, capsys):
    torch.manual_seed(0)
    net = backbone.build(ModelConfig.by_name("resnet18", "plain").backbone)
    torch.save(net.state_dict(), tmp_path / "resnet18.pth")
    out = str(tmp_path / "runs.jsonl")
    command = ["accuracy", str(folder), "--backbone", str(tmp_path / "resnet18.pth"), "--fit", "stretch", "--epochs",
               "1", "--width", "16", "--grid", "16", "--nearest", "20", "--shots", "2", "--seeds", "2", "--out", out]
    cli.main(command)
    runs = [json.loads(line) for line in Path(out).read_text().splitlines()]
    assert [(run["shots"], run["seed"]) for run in runs] == [(2, 0), (2, 1)]
    values = [row["image AUROC"] for run in runs for row in run["rows"]
              if (row["method"], row["defect"]) == ("network", "all")]
    expected = f"{np.mean(values):.3f} ± {abs(values[0] - values[1]) / 2**0.5:.3f}"
    assert f"| {folder.name} | resnet18 | 2 | 2 | network | {expected} |" in capsys.readouterr().out
    cli.main(command)
    assert len(Path(out).read_text().splitlines()) == 2


# --- errors, before any time is spent ---

def test_errors_before_training(small_json, folder, tmp_path):
    config, weights = small_run(small_json)
    def run(where, **changes):
        return train.train(where, config, weights, train.Settings(**changes), tmp_path / "out.safetensors")
    with pytest.raises(PcsnetError, match="holds 5 normal images, 8 shots were asked for"):
        run(folder)
    with pytest.raises(PcsnetError, match="1 shots make no batch of 2"):
        run(folder, shots=1)
    with pytest.raises(PcsnetError, match="no such folder"):
        run(folder / "nowhere")
    Image.new("L", (64, 48)).save(folder / "train" / "good" / "4.png")
    with pytest.raises(PcsnetError, match="0.png is 64 x 64, .*4.png is 64 x 48 pixels"):
        run(folder, shots=5)
    (folder / "train" / "good" / "0.png").write_bytes(b"rubbish")
    (folder / "train" / "good" / "1.png").write_bytes(b"rubbish")
    with pytest.raises(PcsnetError, match=r"0.png: not a usable image[^\n]*\n.*1.png: not a usable image"):
        run(folder, shots=5)
    assert not (tmp_path / "out.safetensors").exists()


def test_mask_errors_are_named(folder):
    assert [i.defect for i in data.test_items(folder)].count("spot") == 5
    Image.new("L", (3, 4)).save(folder / "ground_truth" / "spot" / "1_mask.png")
    with pytest.raises(PcsnetError, match="1_mask.png: is 3 x 4 pixels, its image .* is 64 x 64"):
        data.test_items(folder)
    (folder / "ground_truth" / "spot" / "1_mask.png").unlink()
    with pytest.raises(PcsnetError, match="1.png: its mask is missing; `1_mask.png`"):
        data.test_items(folder)


def test_shots_are_different_and_repeatable(folder):
    assert data.draw_shots(folder, 3, 1) == data.draw_shots(folder, 3, 1)
    assert len(set(data.draw_shots(folder, 5, 1))) == 5
    assert data.normal_images(folder / "train" / "good") == data.normal_images(folder)


def test_sizes_follow_the_grid():
    config = cli.resized(ModelConfig.by_name("efficientnet_lite0", "plain"), grid=32, nearest=100)
    assert (config.grid, config.prototypes, config.nearest, config.width) == (32, 1024, 100, 88)
    assert config.bins == (32, 16, 8, 4)
