"""What a reward or evaluation run says of held-out rankings reaches quality."""

from __future__ import annotations

from pathlib import Path

from labeling.checkpoints.models import Checkpoint
from labeling.quality.models import RewardScore
from labeling.runs.publish import keep_scores
from tests.factories import CheckpointFactory, ProjectFactory, RunFactory, UserFactory
from tests.labeling.quality.judging import answers, comparison_of, rank
from training.contracts import canonical_json


def test_scores_of_held_out_rankings_are_kept_for_their_reward_model(db: None, tmp_path: Path) -> None:
    project = ProjectFactory()
    comparison = comparison_of(project, 2)
    ranking = rank(comparison, UserFactory(), 1, 2)
    reward = CheckpointFactory(project=project, kind=Checkpoint.Kind.REWARD)
    run = RunFactory(project=project, kind="reward")
    assert keep_scores(run, tmp_path, reward) == 0
    (tmp_path / "output").mkdir()
    line = canonical_json({"id": str(ranking.public_id), "scores": [0.25, -1.5]})
    (tmp_path / "output" / "scores.jsonl").write_text(line + "\n")
    assert keep_scores(run, tmp_path, None) == 0
    assert keep_scores(run, tmp_path, reward) == 2
    first, second = answers(comparison)
    kept = dict(RewardScore.objects.filter(checkpoint=reward).values_list("completion", "score"))
    assert kept == {first.pk: 0.25, second.pk: -1.5}
