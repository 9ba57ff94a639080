"""Celery entries of quality."""

from celery import shared_task

from labeling.projects.models import Project
from labeling.quality import review_sampling, services


@shared_task(name="quality.sample_reviews", soft_time_limit=600, time_limit=660)
def sample_reviews() -> int:
    """Queue for review what the rules of each project ask for."""
    return sum(review_sampling.sample_reviews(project=project) for project in Project.objects.order_by("pk"))


@shared_task(name="quality.sweep", soft_time_limit=890, time_limit=900)
def sweep() -> int:
    """Compute the figures that are no longer true."""
    return services.sweep()
