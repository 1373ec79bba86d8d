"""Your commands: those of the kit, and under them your own."""

from slipway.tasks import db, kit, look, machine, media, project, stack
from slipway.tasks.menu import menu

namespace = menu(
    stack=stack.collection,
    project=project.collection,
    db=db.collection,
    media=media.collection,
    look=look.collection,
    machine=machine.collection,
    kit=kit.collection,
)

# A task of your own (https://docs.pyinvoke.org). One with the name of a task of the kit takes its place.
#
# from invoke.context import Context
# from invoke.tasks import task
#
#
# @task(help={"prod": "the production stack instead of the development one"})
# def report(c: Context, prod: bool = False) -> None:
#     """Mail the weekly report."""
#     project.manage(c, "mail_report", prod=prod)
#
#
# namespace.add_task(report)
