"""Pages of prompts."""

from django.urls import path

from labeling.prompts import views

P = "p/<slug:slug>/prompts/"

urlpatterns = [
    path(P, views.prompts, name="prompts"),
    path(P + "import/", views.prompt_import, name="prompts-import"),
    path(P + "imports/<int:import_id>/", views.import_report, name="prompt-import-report"),
    path(P + "<uuid:public_id>/", views.prompt, name="prompt"),
    path(P + "<uuid:public_id>/withdraw/", views.prompt_withdraw, name="prompt-withdraw"),
    path(P + "<uuid:public_id>/restore/", views.prompt_restore, name="prompt-restore"),
]
