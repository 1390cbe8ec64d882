"""What a run writes for people to read never fills a disk."""

import logging

from sweeper import process


def test_the_log_of_a_run_is_turned_over(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LOG_BYTES", 1000)
    with process.quiet(tmp_path):
        for number in range(200):
            logging.getLogger("sweeper").info("line %d", number)
    assert {each.name for each in tmp_path.iterdir()} == {"sweeper.log", "sweeper.log.1"}
    assert all(each.stat().st_size <= 1000 for each in tmp_path.iterdir())
    assert (tmp_path / "sweeper.log").read_text().endswith("line 199\n")


def test_a_log_that_grew_long_is_put_aside_once(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LOG_BYTES", 10)
    log, aside = tmp_path / "failures.log", tmp_path / "failures.log.1"
    process.turn_over(log)
    log.write_text("short")
    process.turn_over(log)
    assert not aside.exists()
    log.write_text("longer than ten")
    process.turn_over(log)
    assert (log.exists(), aside.read_text()) == (False, "longer than ten")
    log.write_text("longer than ten again")
    process.turn_over(log)
    assert aside.read_text() == "longer than ten again"
