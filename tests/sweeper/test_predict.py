import json
import shutil
import subprocess
import sys

import made_corpus
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trained_model

from sweeper import final, predict
from trainables.errors import InputError


def test_every_utterance_gets_probabilities_and_the_likeliest_class(trained, tmp_path):
    out = tmp_path / "new" / "out.parquet"
    table = predict.predict(trained.model, trained.corpus, out)
    pd.testing.assert_frame_equal(pd.read_parquet(out), table)
    assert list(table.columns) == ["utterance_id", "prediction", "p_angry", "p_sad"]
    assert len(table) == 96
    np.testing.assert_allclose(table[["p_angry", "p_sad"]].sum(axis=1), 1, atol=1e-6)
    likeliest = np.where(table["p_angry"] >= table["p_sad"], "angry", "sad")
    assert (table["prediction"] == likeliest).all()


def test_it_has_learned_what_it_was_trained_on(trained, tmp_path):
    table = predict.predict(trained.model, trained.corpus, tmp_path / "out.parquet")
    truth = pq.read_table(trained.corpus / "toy.parquet").to_pandas().set_index("utterance_id")["label"]
    known = truth.dropna()
    assert (table.set_index("utterance_id")["prediction"][known.index] == known).mean() > 0.8


def test_probabilities_are_the_mean_over_seeds(trained, tmp_path):
    single = []
    for seed in (0, 1):
        model = final.train(trained.best, tmp_path / f"model{seed}", seeds=(seed,))
        single.append(predict.predict(model, trained.corpus, tmp_path / f"{seed}.parquet")["p_sad"].to_numpy())
    both = predict.predict(trained.model, trained.corpus, tmp_path / "out.parquet")["p_sad"].to_numpy()
    assert np.abs(single[0] - single[1]).max() > 1e-3
    np.testing.assert_allclose(both, np.mean(single, axis=0), atol=1e-4)


def test_a_corpus_without_labels_is_classified_the_same(trained, tmp_path):
    unlabeled = made_corpus.make(tmp_path / "toy", labels=False)
    with_labels = predict.predict(trained.model, trained.corpus, tmp_path / "a.parquet")
    without = predict.predict(trained.model, unlabeled, tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(with_labels, without)


def test_it_works_in_a_process_without_ray(trained, tmp_path):
    code = (
        "import sys; from sweeper.predict import predict;"
        f"predict({str(trained.model)!r}, {str(trained.corpus)!r}, {str(tmp_path / 'out.parquet')!r});"
        "print('ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
    here = predict.predict(trained.model, trained.corpus, tmp_path / "here.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), here)


def _renamed(corpus, folder, **names):
    table = pq.read_table(corpus / "toy.parquet")
    folder.mkdir()
    pq.write_table(table.rename_columns([names.get(name, name) for name in table.column_names]), folder / "x.parquet")
    return folder


def test_another_size_of_features_is_refused(trained, tmp_path):
    other = made_corpus.make(tmp_path / "other", audio=7)
    with pytest.raises(InputError, match="audio_toy has 7 values, the model needs 5"):
        predict.predict(trained.model, other, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_another_column_is_refused_even_of_the_same_size(trained, tmp_path):
    other = _renamed(trained.corpus, tmp_path / "other", audio_toy="audio_new")
    with pytest.raises(InputError, match="audio_toy"):
        predict.predict(trained.model, other, tmp_path / "out.parquet")


def test_a_corpus_without_the_column_of_a_modality_is_refused(trained, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    pq.write_table(pq.read_table(trained.corpus / "toy.parquet").drop_columns(["text_toy"]), folder / "x.parquet")
    with pytest.raises(InputError, match="text"):
        predict.predict(trained.model, folder, tmp_path / "out.parquet")


def test_an_utterance_without_audio_is_answered_too(trained, tmp_path):
    table = pq.read_table(trained.corpus / "toy.parquet")
    vectors = table["audio_toy"].to_pylist()
    vectors[3] = [float("nan")] * 5
    column = pa.array(vectors, pa.list_(pa.float32(), 5))
    folder = tmp_path / "gap"
    folder.mkdir()
    place = table.column_names.index("audio_toy")
    pq.write_table(table.set_column(place, "audio_toy", column), folder / "x.parquet")
    answered = predict.predict(trained.model, folder, tmp_path / "out.parquet")
    assert len(answered) == 96
    assert answered["prediction"].notna().all()


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_that_is_no_model_is_refused(trained, tmp_path, missing):
    model = tmp_path / "model"
    shutil.copytree(trained.model, model)
    (model / missing).unlink()
    with pytest.raises(InputError, match=f"is no model folder, {missing} is missing"):
        predict.predict(model, trained.corpus, tmp_path / "out.parquet")


def test_a_model_of_another_version_of_the_method_is_refused(trained, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(trained.model, model)
    about = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(about | {"method_version": 0}))
    with pytest.raises(InputError, match=r"was trained with version 0 of mi_infogan, .* train it again"):
        predict.predict(model, trained.corpus, tmp_path / "out.parquet")


def _cut(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("name", "harm", "says"),
    [
        ("model.safetensors", _cut, "is damaged"),
        ("config.json", _cut, "is damaged"),
        ("config.json", lambda path: path.write_text("[]"), "must hold keys and values"),
        ("config.json", lambda path: path.write_text('{"format": 1}'), "is not of a model of format 2"),
    ],
)
def test_a_damaged_model_is_refused(trained, tmp_path, name, harm, says):
    model = tmp_path / "model"
    shutil.copytree(trained.model, model)
    harm(model / name)
    with pytest.raises(InputError, match=rf"{name}: {says}.*; train the model again"):
        predict.predict(model, trained.corpus, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_folder_is_no_file_to_write(trained, tmp_path):
    with pytest.raises(InputError, match="is a folder; name the file to write"):
        predict.predict(trained.model, trained.corpus, tmp_path)


def test_the_multimodal_classifier_and_audio_alone_predict_too(trained, tmp_path):
    for name, changes, columns in (
        ("both", {"augment.inputs": "audio+text"}, {"audio": "audio_toy", "text": "text_toy"}),
        ("audio", {}, {"audio": "audio_toy"}),
    ):
        content = final.read_best(trained.best)
        config = trained_model.apply(trained_model.Config(), trained_model.SMALL | changes).model_dump(mode="json")
        corpus = content["corpus"] | {"columns": columns}
        best = trained_model.write_best(tmp_path / f"{name}.yaml", trained.corpus, config=config, corpus=corpus)
        model = final.train(best, tmp_path / name)
        table = predict.predict(model, trained.corpus, tmp_path / f"{name}.parquet")
        assert table["p_sad"].between(0, 1).all()
