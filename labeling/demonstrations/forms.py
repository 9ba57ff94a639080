"""Creating demonstration tasks."""

from __future__ import annotations

from labeling.assignments.forms import BatchForm, Plan
from labeling.assignments.models import TaskBatch
from labeling.demonstrations import selectors, services
from labeling.people.models import User
from labeling.prompts.models import Prompt


class DemonstrationBatchForm(BatchForm):
    """Prompts that nobody has been asked to answer yet."""

    field_order = ("split", "category", "limit", "overlap", "priority", "title")

    def prompts(self) -> list[Prompt]:
        """The prompts chosen."""
        said = self.cleaned_data
        rows = selectors.prompts_without_task(project=self.project, split=said["split"], category=said["category"])
        return list(rows[: said["limit"]])

    def plan(self) -> Plan:
        """Counts of tasks and judgements."""
        number, overlap = len(self.prompts()), self.cleaned_data["overlap"] or 1
        if not number:
            return Plan(0, [], "Every prompt of this choice has a demonstration task already, or there is none.")
        facts = [f"{number} tasks, one per prompt.", f"{number * overlap} demonstrations will be asked for."]
        return Plan(number, facts)

    def create(self, *, by: User) -> TaskBatch:
        """One task per prompt."""
        said = self.cleaned_data
        return services.create_demonstration_tasks(
            project=self.project,
            prompts=self.prompts(),
            by=by,
            overlap=said["overlap"],
            priority=said["priority"] or 0,
            title=said["title"],
        )
