"""Pages of a project, its people, invitations and guideline."""

from django.urls import path

from labeling.projects import appeals, audit_views, guidelines, people, saved_views, terms_views, views

P = "p/<slug:slug>/"

urlpatterns = [
    path("projects/", views.projects, name="projects"),
    path("projects/new/", views.project_new, name="project-new"),
    path("invitation/<str:secret>/", people.invitation, name="invitation"),
    path(P + "settings/", views.project_settings, name="project-settings"),
    path(P + "settings/pause/", views.project_pause, name="project-pause"),
    path(P + "views/save/", saved_views.view_save, name="view-save"),
    path(P + "views/<int:view>/rename/", saved_views.view_rename, name="view-rename"),
    path(P + "views/<int:view>/delete/", saved_views.view_delete, name="view-delete"),
    path(P + "appeal/", appeals.appeal, name="appeal"),
    path(P + "audit/", audit_views.audit_log, name="audit"),
    path(P + "audit.csv", audit_views.audit_export, name="audit-export"),
    path(P + "people/", people.people, name="people"),
    path(P + "people.csv", people.people_export, name="people-export"),
    path(P + "people/invite/", people.person_invite, name="person-invite"),
    path(P + "people/invitations/<int:invitation_id>/withdraw/", people.invitation_revoke, name="invitation-revoke"),
    path(P + "people/<int:membership_id>/role/", people.person_role, name="person-role"),
    path(P + "people/<int:membership_id>/pause/", people.person_pause, name="person-pause"),
    path(P + "people/<int:membership_id>/resume/", people.person_resume, name="person-resume"),
    path(P + "people/<int:membership_id>/languages/", terms_views.person_languages, name="person-languages"),
    path(P + "people/<int:membership_id>/pay/", terms_views.person_pay, name="person-pay"),
    path(P + "guideline/", guidelines.guideline, name="guideline"),
    path(P + "guideline/edit/", guidelines.guideline_edit, name="guideline-edit"),
    path(P + "guideline/publish/", guidelines.guideline_publish, name="guideline-publish"),
    path(P + "guideline/<int:version>/", guidelines.guideline, name="guideline-version"),
    path(P + "guideline/<int:version>/changes/<int:since>/", guidelines.guideline_changes, name="guideline-changes"),
    path(P + "guideline/<int:version>/accept/", guidelines.guideline_accept, name="guideline-accept"),
]
