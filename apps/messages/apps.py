from django.apps import AppConfig


class MessagesConfig(AppConfig):
    name = "apps.messages"
    label = "outbox"  # "messages" is taken by django.contrib
