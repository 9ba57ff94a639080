"""The curve of best-of-n under a second reward model: its estimator, its fit, and a run that draws it."""

import json
import math
import shutil
import signal
from itertools import combinations

import pytest

from tests.training.run_directories import TOPICS, lines, make_run, numbers, user
from training import sample
from training.advantages import best_of_n_kl
from training.config_sample import SampleConfig
from training.configs import ConfigError
from training.contracts import EXIT_BAD_SPEC, EXIT_INTERRUPTED, EXIT_OK, Kind, Result
from training.overoptimisation import Point, curve_sizes, expected_best, fit_best_of_n, fit_gold
from training.session import main


def by_trying_all(scores, golds, n):
    """The means over every way to take n candidates; the first of equals is the best."""
    best = [max(taken, key=lambda at: (scores[at], -at)) for taken in combinations(range(len(scores)), n)]
    return tuple(math.fsum(values[at] for at in best) / len(best) for values in (scores, golds))


@pytest.mark.parametrize(
    "scores", [[0.3, -1.2, 2.0, 0.7, 0.1, -0.4, 1.1], [1.0, 2.0, 2.0, 0.0, 2.0, 1.0, -1.0], [0.5] * 7]
)
def test_the_expected_best_is_the_mean_over_all_subsets(scores):
    golds = [0.9, -0.1, 0.4, -2.0, 1.5, 0.0, 3.0]
    for n in range(1, 8):
        assert expected_best(scores, golds, n) == pytest.approx(by_trying_all(scores, golds, n), rel=1e-12)
    assert expected_best(scores, golds, 1) == pytest.approx((sum(scores) / 7, sum(golds) / 7))
    for n in (0, 8):
        with pytest.raises(ValueError, match="n must be from 1 to 7"):
            expected_best(scores, golds, n)


def test_many_candidates_are_no_matter_for_the_numbers():
    places = [float(-at) for at in range(1024)]
    score, gold = expected_best(places, [1.0] * 1024, 512)  # the expected place of the best of 512: 1025/513 - 1
    assert (score, gold) == (pytest.approx(1.0 - 1025 / 513, rel=1e-9), pytest.approx(1.0, rel=1e-12))


def test_a_curve_has_a_point_at_every_power_of_two():
    assert [curve_sizes(drawn) for drawn in (1, 4, 7, 8)] == [[1], [1, 2, 4], [1, 2, 4], [1, 2, 4, 8]]


def planted(a, b, start=10.0):
    """Points on R(d) = d (a - b d) at the KL of best-of-n."""
    kls = [best_of_n_kl(n) for n in curve_sizes(64)]
    return [Point(kl, 0.0, start + math.sqrt(kl) * (a - b * math.sqrt(kl))) for kl in kls]


def test_the_fit_finds_what_the_curve_was_made_of():
    fit = fit_best_of_n(planted(1.5, 0.6))
    assert (fit.a, fit.b, fit.peak_kl) == (pytest.approx(1.5), pytest.approx(0.6), pytest.approx(1.25**2))
    assert fit_gold(planted(1.5, 0.6)).a < 1.0  # another law
    rising = fit_best_of_n(planted(0.5, -0.1))
    assert (rising.b, rising.peak_kl) == (pytest.approx(-0.1), None)
    assert fit_best_of_n(planted(-0.5, 0.1)).peak_kl == 0.0  # it falls from the first candidate on
    assert fit_best_of_n(planted(1.0, 1e-4)).peak_kl is None  # straight, as far as can be told
    assert fit_best_of_n(planted(1.5, 0.6)[:2]) is None
    assert fit_best_of_n([]) is None


# ---------------------------------------------------------------- a run


@pytest.fixture(scope="session")
def opposite(reward_dir, tmp_path_factory):
    """A reward model whose score is exactly minus that of `reward_dir`."""
    folder = shutil.copytree(reward_dir, tmp_path_factory.mktemp("gold") / "output")
    facts = json.loads((folder / "reward.json").read_text())
    (folder / "reward.json").write_text(json.dumps(facts | {"gain": -facts["gain"]}))
    return folder


def run_of(folder, tiny_dir, reward_dir, gold, **config):
    inputs = {"policy": tiny_dir} | ({"reward": reward_dir} if reward_dir else {}) | ({"gold": gold} if gold else {})
    prompts = [{"id": f"p{at}", "messages": [user(f"Tell me about {TOPICS[at]}.")]} for at in range(3)]
    config = {"n": 2, "best_of": 4, "max_new_tokens": 10, "batch_rows": 8} | config
    return make_run(folder, Kind.SAMPLE, config=config, inputs=inputs, data={"prompts": prompts})


def run(folder):
    return main(sample.train, [str(folder)])


def curve(folder):
    return [row for row in numbers(folder) if row["split"] == "best_of"]


def test_gold_watches_the_best_of_n_and_changes_no_text(tmp_path, tiny_dir, reward_dir, opposite):
    alone = run_of(tmp_path / "alone", tiny_dir, reward_dir, None, best_of=9)
    watched = run_of(tmp_path / "watched", tiny_dir, reward_dir, opposite, best_of=9)
    assert run(alone) == run(watched) == EXIT_OK
    ours, theirs = (lines(folder / "output" / "completions.jsonl") for folder in (watched, alone))
    assert [row["text"] for row in ours] == [row["text"] for row in theirs]
    assert all(row["sampling"]["gold_score"] == -row["sampling"]["score"] for row in ours)
    assert "gold_score" not in theirs[0]["sampling"] and not curve(alone)
    points = curve(watched)
    assert [row["step"] for row in points] == [1, 2, 4, 8]
    assert [row["sample/kl"] for row in points] == [best_of_n_kl(n) for n in (1, 2, 4, 8)]
    assert [row["sample/sqrt_kl"] ** 2 for row in points] == pytest.approx([row["sample/kl"] for row in points])
    rising = [row["sample/score"] for row in points]
    assert rising == sorted(rising) and rising[-1] > rising[0]
    assert [row["sample/gold_score"] for row in points] == pytest.approx([-score for score in rising])
    metrics = Result.read(watched).metrics
    assert metrics["gold_score_candidates"] == pytest.approx(-metrics["score_candidates"])
    assert rising[0] == pytest.approx(metrics["score_candidates"])
    assert rising[-1] < metrics["score"] == pytest.approx(-metrics["gold_score"])  # 8 of 9, and all 9
    fit = fit_best_of_n([Point(row["sample/kl"], row["sample/score"], row["sample/gold_score"]) for row in points])
    assert [metrics[f"gold_{name}"] for name in ("a", "b", "peak_kl")] == list(fit)
    assert fit.a < 0


def test_a_stopped_run_draws_the_curve_of_one_that_was_not(tmp_path, tiny_dir, reward_dir, opposite, monkeypatch):
    whole, cut = (run_of(tmp_path / name, tiny_dir, reward_dir, opposite) for name in ("whole", "cut"))
    assert run(whole) == EXIT_OK
    keep = sample.Progress.keep

    def keep_then_stop(progress, *rows):
        keep(progress, *rows)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(sample.Progress, "keep", keep_then_stop)
        assert run(cut) == EXIT_INTERRUPTED
    assert 1 <= len(lines(cut / "checkpoints" / "completions.jsonl")) < 6
    assert run(cut) == EXIT_OK
    names = ("step", "sample/kl", "sample/score", "sample/gold_score")
    for one, other in zip(curve(cut), curve(whole), strict=True):
        assert [one[name] for name in names] == pytest.approx([other[name] for name in names], abs=1e-4)
    ours, theirs = (Result.read(folder).metrics for folder in (cut, whole))
    assert [ours[name] for name in ("gold_a", "gold_b")] == pytest.approx(
        [theirs[name] for name in ("gold_a", "gold_b")], abs=1e-3
    )


def test_a_gold_model_without_a_curve_to_draw_is_refused(tmp_path, tiny_dir, reward_dir, capsys):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir, reward_dir, best_of=3)
    assert run(folder) == EXIT_BAD_SPEC
    assert "best_of: must be at least 4 when inputs.gold is given" in capsys.readouterr().err
    assert not (folder / "output").exists()
    with pytest.raises(ConfigError, match=r"best_of: needs inputs\.reward"):
        SampleConfig(best_of=4).check_reads({"policy", "gold"}, {"prompts"})
    SampleConfig(best_of=4).check_reads({"policy", "reward", "gold"}, {"prompts"})


def test_a_gold_model_that_reads_other_tokens_is_refused(tmp_path, tiny_dir, reward_dir, capsys):
    other = shutil.copytree(reward_dir, tmp_path / "other")
    facts = json.loads((other / "tokenizer.json").read_text())
    model = facts["model"]
    renamed = {f"{name}!" if number == 300 else name: number for name, number in model["vocab"].items()}
    (other / "tokenizer.json").write_text(json.dumps(facts | {"model": model | {"vocab": renamed, "merges": []}}))
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir, other)
    assert run(folder) == EXIT_BAD_SPEC
    assert "inputs.gold has another tokenizer than the policy 'tiny'" in capsys.readouterr().err
