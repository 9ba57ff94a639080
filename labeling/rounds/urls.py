"""Pages."""

from django.urls import path

from labeling.rounds import views

urlpatterns = [
    path("", views.home, name="home"),
    path("p/<slug:slug>/", views.show_overview, name="overview"),
    path("p/<slug:slug>/rounds/", views.rounds, name="rounds"),
    path("p/<slug:slug>/rounds/new/", views.round_new, name="round-new"),
    path("p/<slug:slug>/rounds/<int:number>/", views.show_round, name="round"),
    path("p/<slug:slug>/rounds/<int:number>/settings/", views.round_settings, name="round-settings"),
    path("p/<slug:slug>/rounds/<int:number>/advance/", views.advance, name="round-advance"),
    path("p/<slug:slug>/rounds/<int:number>/override/", views.override, name="round-override"),
    path("p/<slug:slug>/rounds/<int:number>/retry/", views.retry, name="round-retry"),
    path("p/<slug:slug>/rounds/<int:number>/collect/", views.collect_more, name="round-collect"),
    path("p/<slug:slug>/rounds/<int:number>/sample/", views.sample_again, name="round-sample"),
    path("p/<slug:slug>/rounds/<int:number>/autopilot/", views.autopilot, name="round-autopilot"),
    path("p/<slug:slug>/rounds/<int:number>/close/", views.round_close, name="round-close"),
]
