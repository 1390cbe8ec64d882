"""Shuffling every test label changes no selection, no stop, no chosen epoch: nothing in a run reads test."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables import synth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STUDY = """
name: blind
corpus: corpus
method: mi_infogan
modalities: [audio, text]
protocol: {kind: predefined}
seeds: [0, 1]
config:
  align: {epochs: 6, hidden: [16], batch_size: 32, learning_rate: 3.0e-3}
  generate: {epochs: 2, batch_size: 32, noise_dim: 8}
  augment: {epochs: 2, batch_size: 32}
search: {space: loss_weights, trials: 5}
ablation: {rows: ["Without cross-modal alignment", "Real features twice (no generation)"], around: best}
sensitivity: {parameters: {generate.lambda_y: [0.1, 10]}, around: best}
scheduler: {kind: asha, grace_period: 1, reduction_factor: 2}
resources: {concurrent: 1}
"""


def shuffle_test_labels(folder):
    (path,) = folder.glob("*.parquet")
    table = pq.read_table(path)
    labels = np.array(table["label"].to_pylist(), dtype=object)
    test = np.array([part == "test" for part in table["split"].to_pylist()])
    test &= np.array([label is not None for label in labels])
    before = labels.copy()
    labels[test] = np.random.default_rng(0).permutation(labels[test])
    assert (before != labels).sum() > 20
    place = table.column_names.index("label")
    pq.write_table(table.set_column(place, "label", pa.array(labels, pa.string())), path)


def run(folder, sweeper, shuffled):
    synth.write(folder / "corpus")
    if shuffled:
        shuffle_test_labels(folder / "corpus")
    (folder / "study.yaml").write_text(STUDY)
    result = sweeper(folder, "run", "study.yaml", "--no-report")
    assert result.returncode == 0, result.stderr
    return {name: pd.read_parquet(folder / f"runs/blind/{name}.parquet") for name in ("trials", "folds", "curves")}


def test_shuffled_test_labels_change_test_scores_and_nothing_else(tmp_path, sweeper):
    tables = []
    for shuffled in (False, True):
        folder = tmp_path / str(shuffled)
        folder.mkdir()
        tables.append(run(folder, sweeper, shuffled))
    plain, other = tables
    columns = ["arm", "name", "kind", "status", "score", "epochs", "parent", "is_best", "is_reference", "started_order"]
    pd.testing.assert_frame_equal(plain["trials"][columns], other["trials"][columns])
    assert "stopped" in set(plain["trials"]["status"])
    assert plain["curves"]["rows"].map(str).tolist() == other["curves"]["rows"].map(str).tolist()
    key = ["arm", "stage", "fold", "seed", "split", "condition"]
    folds = [each["folds"].sort_values(key).reset_index(drop=True) for each in tables]
    assert folds[0]["epoch"].tolist() == folds[1]["epoch"].tolist()
    dev = [each[each["split"] == "dev"] for each in folds]
    pd.testing.assert_frame_equal(dev[0], dev[1])
    test = [each[each["split"] == "test"]["uar"] for each in folds]
    assert (test[0].to_numpy() != test[1].to_numpy()).mean() > 0.9
