"""Pages of the account; they stand before allauth's own, and close those that are not ours."""

from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from labeling.people import views

urlpatterns = [
    path("", views.account, name="account"),
    path("language/", views.language, name="language"),
    path("browsers/<int:session_id>/end/", views.session_end, name="session-end"),
    path("tokens/new/", views.token_new, name="token-new"),
    path("tokens/<int:token_id>/revoke/", views.token_revoke, name="token-revoke"),
    re_path(r"^(?:signup|email|confirm-email|password/set|login/code|sessions)/", csrf_exempt(views.closed)),
]
