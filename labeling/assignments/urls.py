"""Pages of the queue, of one task, and of batches of tasks."""

from django.urls import path

from labeling.assignments import batch_views, views

TASKS = "p/<slug:slug>/tasks/"
WORK = "p/<slug:slug>/work/<uuid:slot>/"

urlpatterns = [
    path("p/<slug:slug>/label/", views.queue, name="queue"),
    path("p/<slug:slug>/next/", views.next_task, name="next"),
    path("p/<slug:slug>/label/sensitive/", views.sensitive_work, name="sensitive-work"),
    path(WORK, views.work, name="work"),
    path(WORK + "skip/", views.skip_task, name="work-skip"),
    path(WORK + "recall/", views.recall_task, name="work-recall"),
    path(TASKS, batch_views.batches, name="batches"),
    path("p/<slug:slug>/tasks.csv", batch_views.batches_export, name="batches-export"),
    path(TASKS + "new/", batch_views.batch_new, name="batch-new"),
    path(TASKS + "<uuid:batch>/", batch_views.batch, name="batch"),
    path(TASKS + "<uuid:batch>/pause/", batch_views.pause, name="batch-pause"),
    path(TASKS + "<uuid:batch>/priority/", batch_views.prioritise, name="batch-priority"),
    path(TASKS + "<uuid:batch>/resume/", batch_views.resume, name="batch-resume"),
    path(TASKS + "<uuid:batch>/withdraw/", batch_views.withdraw, name="batch-withdraw"),
]
