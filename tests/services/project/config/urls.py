from django.urls import path
from jobs import views

urlpatterns = [
    path("healthz/ready", views.ready),
    path("healthz/live", views.live),
    path("send/<str:word>", views.send),
    path("seen/<str:word>", views.seen),
]
