"""A model that was tuned over recordings, written, and used where its encoders are not."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from sweeper import final, predict
from trainables.mi_infogan.method import METHOD


@pytest.fixture
def best(config, encoder, heard, folder, tmp_path):
    """An exported configuration whose encoders are copies in the test's own folder."""
    settings = config("wav2vec2", "bert", train="lora").model_dump(mode="json")
    for field in ("encoder", "text_encoder"):
        settings["align"][field] = str(shutil.copytree(settings["align"][field], tmp_path / field))
    number = {"mean": 0.5, "std": 0.1}
    measured = dict.fromkeys(("uar", "war", "wf1", "macro_f1"), number)
    content = {
        "method": "mi_infogan",
        "method_version": METHOD.version,
        "config": settings,
        "corpus": {"path": str(folder), "fingerprint": heard.fingerprint, "columns": dict(heard.columns)},
        "seeds": [0],
        "evidence": {
            "arm": "a",
            "name": "search 0",
            "flags": [],
            "folds": 2,
            "chosen_from": 1,
            "selection": "dev",
            "dev": measured,
            "test": measured,
            "epochs": {"align": 1, "augment": 1},
        },
    }
    path = tmp_path / "best.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.slow
def test_a_tuned_model_is_trained_written_and_classifies_recordings(best, folder, heard, tmp_path):
    model = final.train(best, tmp_path / "model")
    for name in ("encoder", "text_encoder"):
        shutil.rmtree(tmp_path / name)
    table = predict.predict(model, folder, tmp_path / "found.parquet")
    assert table["utterance_id"].tolist() == heard.utterances["utterance_id"].tolist()
    p = table[[f"p_{name}" for name in heard.classes]].to_numpy()
    assert np.allclose(p.sum(1), 1)
    assert p.std(0).max() > 1e-4
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "found.parquet"), table)
    assert "audio `recording`, text `transcript`" in (model / "README.md").read_text()
    assert [path.name for path in sorted(model.iterdir())] == ["README.md", "config.json", "model.safetensors"]


def test_an_encoder_that_is_gone_is_refused_before_anything_is_written(best, tmp_path):
    shutil.rmtree(tmp_path / "encoder")
    with pytest.raises(Exception, match=r"config.align.encoder: .*no such folder"):
        final.train(best, tmp_path / "model")
    assert not (tmp_path / "model").exists()
