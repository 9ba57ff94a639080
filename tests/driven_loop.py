"""A project in which rounds can be driven, and runs that end because a test says so."""

from __future__ import annotations

import uuid
from typing import Any

from labeling.checkpoints.models import Checkpoint
from labeling.comparisons import services as comparisons
from labeling.datasets.models import Snapshot
from labeling.datasets.write import write_snapshot
from labeling.people.models import Role
from labeling.projects.models import Project
from labeling.prompts.models import Prompt
from labeling.rounds import services, stages
from labeling.rounds.models import Round
from labeling.runs.models import Run
from labeling.simulation.labelers import SimulatedLabeler, Temperament, text_of, work_through
from tests.factories import (
    AcceptanceFactory,
    CheckpointFactory,
    GuidelineFactory,
    MembershipFactory,
    ProjectFactory,
    PromptFactory,
)
from training.contracts import CompletionRecord


class Loop:
    """One project: labelers who answer anything, and runs that succeed or fail on demand."""

    def __init__(self) -> None:
        self.project: Project = ProjectFactory(
            demonstrations_target=2, comparisons_target=3, evaluation_target=2, completions_per_comparison=4
        )
        guideline = GuidelineFactory(project=self.project)
        self.admin = MembershipFactory(project=self.project, role=Role.ADMIN).user
        self.labelers = []
        for number in range(3):
            user = MembershipFactory(project=self.project).user
            AcceptanceFactory(guideline=guideline, user=user)
            self.labelers.append(SimulatedLabeler(user, Temperament(), number))
        self.base = CheckpointFactory(project=self.project, kind=Checkpoint.Kind.BASE, name="base", path="/models/x")
        for number in range(4):
            PromptFactory(project=self.project, owner_key=f"train-{number}")
        for number in range(3):
            PromptFactory(project=self.project, owner_key=f"test-{number}", split=Prompt.Split.TEST)

    @property
    def round(self) -> Round:
        """The newest round, fresh from the database."""
        found = Round.objects.filter(project=self.project).select_related("policy", "new_policy", "reward").first()
        assert found is not None
        return found

    def open(self, **configs: Any) -> Round:
        """Round 1, with demonstration tasks for its training prompts."""
        from labeling.demonstrations import services as demonstrations

        prompts = list(self.project.prompts.filter(split="train"))
        demonstrations.create_demonstration_tasks(project=self.project, prompts=prompts, by=None, round_number=1)
        return services.open_round(project=self.project, by=self.admin, configs=configs)

    def step(self, **how: Any) -> bool:
        """Advance once, with the files of snapshots written as a worker would."""
        moved = services.advance_round(round_id=self.round.pk, **how)
        for snapshot in Snapshot.objects.filter(project=self.project, state="freezing"):
            write_snapshot(snapshot_id=snapshot.pk)
        return moved

    def label(self, limit: int | None = None) -> int:
        """Everybody works until nothing is left."""
        known = {text_of(prompt): "An answer." for prompt in self.project.prompts.all()}
        for labeler in self.labelers:
            labeler.answers = known
        return work_through(project=self.project, labelers=self.labelers, limit=limit)

    def run(self) -> Run:
        """The run of the round's state, started if the round needs a step or two for that."""
        for _ in range(3):
            if found := stages.run_of(self.round):
                return found
            self.step()
        raise AssertionError(f"no run in state {self.round.state}")

    def succeed(self, **metrics: Any) -> Run:
        """End the run of this state well, with what a real one would leave."""
        run = self.run()
        output = None
        if run.kind == Run.Kind.SAMPLE:
            self.complete(run)
        else:
            kind = Checkpoint.Kind.REWARD if run.kind == Run.Kind.REWARD else Checkpoint.Kind.POLICY
            output = CheckpointFactory(project=self.project, kind=kind, name=run.name, metrics=metrics)
        self.end(run, state=Run.State.SUCCEEDED, output=output, result={"metrics": metrics}, progress=1.0)
        return run

    def fail(self, error: str = "out of memory") -> Run:
        """End the run of this state badly."""
        run = self.run()
        self.end(run, state=Run.State.FAILED, error=error)
        return run

    def end(self, run: Run, **fields: Any) -> None:
        """Write the end of a run past its supervisor."""
        Run.objects.filter(pk=run.pk).update(**fields)
        run.refresh_from_db()

    def complete(self, run: Run) -> None:
        """Store n completions per prompt and policy."""
        policies = {item.checkpoint.name: item.checkpoint for item in run.inputs.select_related("checkpoint")}
        prompts = Prompt.objects.filter(snapshots__snapshot__used_by__run=run)
        records = [
            CompletionRecord(
                id=uuid.uuid4().hex,
                prompt_id=str(prompt.public_id),
                policy=name,
                text=f"{name.replace('-', ' ')} says {number} because you asked, for example.",  # its name would hold it back
                token_count=10 + number,
                finish_reason="stop",
                logprob=-1.0,
                sampling={"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 32},
            )
            for prompt in prompts
            for name in policies
            for number in range(run.config["n"])
        ]
        comparisons.store_completions(project=self.project, run_id=run.pk, checkpoints=policies, records=records)

    def until(self, state: str) -> None:
        """Play on until the round is in this state."""
        for _ in range(30):
            if self.round.state == state:
                return
            self.label()
            if not self.step() and stages.run_of(self.round):
                self.succeed(accuracy=0.7, kl_after=3.0)
        raise AssertionError(f"the round stays in {self.round.state}: {self.round.blocked}")
