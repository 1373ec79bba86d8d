"""REDIS, and the variables and settings that lead to it."""

from __future__ import annotations

import re
from typing import Any

from slipway.adoption.project import Project
from slipway.core.suggestions import suggest
from slipway.project.reading import texts

__all__ = ["redis"]

_REDIS_SETTINGS = (
    "CACHES", "CHANNEL_LAYERS", "CELERY_BROKER_URL", "BROKER_URL", "CELERY_RESULT_BACKEND", "RQ_QUEUES",
    "HUEY", "Q_CLUSTER", "REDIS_URL", "REDIS_HOST", "CACHEOPS_REDIS", "DRAMATIQ_BROKER", "CELERY_BROKER",
    "SESSION_REDIS", "CONSTANCE_REDIS_CONNECTION", "REDIS_CONNECTION", "THUMBNAIL_REDIS_HOST",
    "THUMBNAIL_REDIS_URL",
)  # fmt: skip
_REDIS_URL = re.compile(r"^rediss?://|^valkeys?://")


def redis(project: Project) -> None:
    """Set REDIS, and the variables that lead to it."""
    settings = project.settings
    using = [name for name in _REDIS_SETTINGS if _mentions_redis(settings.get(name), name)]
    brokers = [
        n
        for n in ("CELERY_BROKER_URL", "BROKER_URL", "CELERY_BROKER")
        if str(settings.get(n, "")).startswith(("amqp", "pyamqp"))
    ]
    if brokers:
        for name in settings.deciding(*brokers):
            value = "redis://redis:6379/0"
            if any(str(project.with_values(**{name: value}).get(b)) == value for b in brokers):
                project.give(name, value, "the kit runs redis, not RabbitMQ, as the broker", sure=False)
                using += brokers
                if not project.dependencies.has("redis"):
                    project.findings.say(
                        "EXTRA_PIP_PACKAGES",
                        "redis",
                        "Celery on redis needs it",
                        settings.where(brokers[0]),
                        sure=False,
                    )
    given = any("redis:6379" in value or name == "REDIS_HOST" for name, value in project.assumed.items())
    if not using and not given:
        return
    settings = project.settings
    first = using[0] if using else next((n for n in project.assumed if "REDIS" in n), "")
    project.findings.say(
        "REDIS", "on", f"{first} uses it", settings.where(first) or settings.where_read(first)
    )
    for name in settings.deciding(*using):
        if name in project.given or settings.reads[name].kind == "db":
            continue
        suggestion = suggest(name)
        if suggestion == "redis" or _is_host_of_redis(project, name, using):
            project.give(name, "redis", "the stack's redis")
        elif _leads_to_redis(project, name, using):
            current = str(settings.reads[name].default)
            number = re.search(r"/(\d+)$", current)
            value = f"redis://redis:6379/{number[1] if number else 0}"
            project.give(name, value, "the stack's redis")
        elif suggestion is not None and re.search(r"REDIS.*PORT", name):
            project.give(name, "6379", "the stack's redis")
    settings = project.settings
    for name in dict.fromkeys(using):
        elsewhere = [
            text
            for text in texts(settings.get(name))
            if re.search(r"(^|//|@)(localhost|127\.0\.0\.1)(:|/|$)", text)
        ]
        if elsewhere and settings.get(name) is not None:
            project.override(name, f"redis is at {elsewhere[0]}")


# Names of variables for the hosts of services other than redis.
_OTHER_HOSTS = re.compile(
    r"(^|_)(E?MAIL|SMTP|DB|DATABASE|POSTGRES\w*|PG|MYSQL|SQL|MONGO\w*|RABBIT\w*|AMQP|ELASTIC\w*|ES|SEARCH|MEMCACHED?"
    r"|S3|MINIO|LDAP|ALLOWED|SENTRY|KAFKA|SOLR|FTP|SITE|WEB|APP|PROXY)(?=_|HOST|$)",
    re.IGNORECASE,
)


def _is_host_of_redis(project: Project, name: str, using: list[str]) -> bool:
    """Return whether a variable is the host of a redis: a redis setting uses it, and its name fits."""
    if _OTHER_HOSTS.search(name) or not re.search(r"(HOST|HOSTNAME|SERVER)$", name):
        return False
    mark = "slipwaymark"
    after = project.with_values(**{name: mark})
    return any(mark in text for setting in using for text in texts(after.get(setting)))


def _leads_to_redis(project: Project, name: str, using: list[str]) -> bool:
    if suggest(name) is not None and not str(suggest(name)).startswith("redis://"):
        return False
    mark = "redis://slipwaymark:6379/0"
    after = project.with_values(**{name: mark})
    return any(mark in text for setting in using for text in texts(after.get(setting)))


def _mentions_redis(value: Any, name: str) -> bool:
    if value is None:
        return False
    return any(
        _REDIS_URL.match(text)
        or re.search(r"\.redis|[Rr]edis(Cache|ChannelLayer|Huey|Broker)|channels_redis", text)
        for text in texts(value)
    ) or (name in {"REDIS_HOST", "RQ_QUEUES"} and isinstance(value, str | dict) and bool(value))
