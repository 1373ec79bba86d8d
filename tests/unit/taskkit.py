"""The names of all tasks, and arguments to run each with."""

from __future__ import annotations

import tasks

NAMES = sorted(tasks.namespace.task_names)
# Arguments a task cannot do without.
REQUIRED = {
    "adopt": ["example"],
    "manage": ["check"],
    "maintenance": ["on"],
    "exec": ["web", "--command", "true"],
    "inspect": ["web"],
    "db.upgrade": ["--to", "18"],
    "db.fetch": ["latest"],
    "db.restore": ["latest"],
    "db.import": ["site.sql"],
    "media.import": ["uploads"],
    "db.verify": ["latest"],
}
