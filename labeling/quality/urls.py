"""Pages of quality, reviews and hidden controls."""

from django.urls import path

from labeling.quality import control_views, own_views, review_views, screening_views, views, work_views

P = "p/<slug:slug>/"
REVIEW = P + "review/<uuid:review>/"
CONTROLS = P + "controls/"
OWN = P + "label/own/"
SCREENING = P + "screening/"

urlpatterns = [
    path(P + "quality/", views.quality, name="quality"),
    path(OWN, own_views.own_list, name="own-work"),
    path(OWN + "hours/", own_views.own_hours, name="own-hours"),
    path(OWN + "hours.csv", own_views.own_hours_csv, name="own-hours-csv"),
    path(OWN + "accepted.csv", own_views.own_work_csv, name="own-work-csv"),
    path(OWN + "<uuid:slot>/", own_views.own_piece, name="own-piece"),
    path(P + "label/screening/", screening_views.screening_question, name="screening-question"),
    path(SCREENING, screening_views.screening, name="screening"),
    path(SCREENING + "items/", screening_views.screening_items, name="screening-items"),
    path(SCREENING + "items/add/", screening_views.screening_add, name="screening-add"),
    path(SCREENING + "items/<int:item>/remove/", screening_views.screening_remove, name="screening-remove"),
    path(SCREENING + "pieces/<int:piece>/grade/", screening_views.screening_grade, name="screening-grade"),
    path(SCREENING + "<int:membership>/", screening_views.screening_person, name="screening-person"),
    path(SCREENING + "<int:membership>/decide/", screening_views.screening_decide, name="screening-decide"),
    path(P + "people/work/", work_views.people_work, name="people-work"),
    path(P + "people/work.csv", work_views.pay_report, name="pay-report"),
    path(P + "people/<int:membership_id>/", work_views.person, name="person"),
    path(P + "people/<int:membership_id>/account/", work_views.person_account, name="person-account"),
    path(P + "people/<int:membership_id>/erase/", work_views.person_erase, name="person-erase"),
    path(P + "quality/disputes/", views.disputed, name="disputes"),
    path(P + "review/", review_views.reviews, name="reviews"),
    path(P + "review.csv", review_views.reviews_export, name="reviews-export"),
    path(P + "review/accept/", review_views.reviews_accept, name="reviews-accept"),
    path(REVIEW, review_views.review, name="review"),
    path(REVIEW + "accept/", review_views.review_accept, name="review-accept"),
    path(REVIEW + "return/", review_views.review_return, name="review-return"),
    path(REVIEW + "edit/", review_views.review_edit, name="review-edit"),
    path(CONTROLS, control_views.controls, name="controls"),
    path(CONTROLS + "agreed/", control_views.controls_agreed, name="controls-agreed"),
    path(CONTROLS + "new/<uuid:task>/", control_views.control_new, name="control-new"),
    path(CONTROLS + "<int:control>/more/", control_views.control_more, name="control-more"),
    path(CONTROLS + "<int:control>/stop/", control_views.control_stop, name="control-stop"),
]
