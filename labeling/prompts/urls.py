"""Pages of prompts."""

from django.urls import path

from labeling.prompts import import_views, list_views, views

P = "p/<slug:slug>/prompts/"

urlpatterns = [
    path(P, list_views.prompts, name="prompts"),
    path(P + "bulk/", list_views.prompts_bulk, name="prompts-bulk"),
    path(P + "export.<str:fmt>", list_views.prompts_export, name="prompts-export"),
    path(P + "quarantine/", list_views.quarantined, name="prompts-quarantine"),
    path(P + "quarantine/decide/", list_views.quarantine_decide, name="quarantine-decide"),
    path(P + "import/", import_views.prompt_import, name="prompts-import"),
    path(P + "imports/<int:import_id>/", import_views.import_report, name="prompt-import-report"),
    path(P + "<uuid:public_id>/", views.prompt, name="prompt"),
    path(P + "<uuid:public_id>/withdraw/", views.prompt_withdraw, name="prompt-withdraw"),
    path(P + "<uuid:public_id>/restore/", views.prompt_restore, name="prompt-restore"),
]
