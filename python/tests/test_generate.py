"""Generated pictures: repeatable, of the stated sizes, and changed where their masks say so."""

from functools import lru_cache

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from pcsnet_torch import cli, data, generate


sound_picture = lru_cache(lambda seed: generate.photograph(seed)[0])


def test_a_seed_gives_one_picture():
    picture, mask = generate.photograph(5)
    assert picture.shape == (generate.SIDE, generate.SIDE, 3) and picture.dtype == np.uint8
    assert mask.shape == picture.shape[:2] and not mask.any()
    assert np.array_equal(generate.photograph(5)[0], picture)
    assert not np.array_equal(generate.photograph(6)[0], picture)
    # Neither black nor burnt out: the part is bright, its mat dark.
    assert 140 < picture[100:220, 60:90].mean() < 235 and 25 < picture[:20, :20].mean() < 90


@pytest.mark.parametrize("defect", generate.DEFECTS)
def test_masks_show_where_the_defect_is(defect):
    for seed in range(2):
        marred, mask = generate.photograph(seed, defect)
        change = np.abs(marred.astype(int) - sound_picture(seed)).mean(2)
        assert 20 < mask.sum() < 1500
        assert change[mask].mean() > 8
        # Beyond blur and shadow nothing changes but the rounding of noise.
        near = binary_dilation(mask, iterations=14)
        assert change[mask].mean() > 40 * change[~near].mean()
        # Nearly all that is plain to see lies in the mask or beside it.
        plain = change > 0.5 * np.percentile(change[mask], 90)
        assert (plain & binary_dilation(mask, iterations=2)).sum() > 0.9 * plain.sum()


def test_folders_are_those_of_mvtec(tmp_path, capsys):
    for out in ("a", "b"):
        cli.main(["generate", "--out", str(tmp_path / out), "--seed", "3", "--train", "2", "--good", "1",
                  "--defects", "1"])
    assert "9 pictures" in capsys.readouterr().out
    items = data.test_items(tmp_path / "a")
    assert {i.defect for i in items} == {"good", *generate.DEFECTS}
    assert len(data.normal_images(tmp_path / "a")) == 2
    for file in (tmp_path / "a").rglob("*.png"):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
        assert Image.open(file).size == (generate.SIDE, generate.SIDE)


def test_unusable_arguments_are_explained(tmp_path):
    with pytest.raises(SystemExit, match="the seed is -1"):
        cli.main(["generate", "--out", str(tmp_path), "--seed", "-1"])
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="cannot be written"):
        cli.main(["generate", "--out", str(tmp_path / "file"), "--train", "1"])
