class Router:
    """Reports are in their own database."""

    def db_for_read(self, model, **_):
        return "reports" if model.__name__ == "Report" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **_):
        return (db == "reports") == (model_name == "report") if app_label == "jobs" else db == "default"
