"""Run commands of manage.py one after another in one process, each on request.

    run_commands.py ANSWERS REQUESTS COMMAND...

Each COMMAND is a JSON list of words. The first runs at once, a further one for each line read from the file
descriptor REQUESTS; the end of REQUESTS ends the process. After a command that succeeded a line of JSON is
written to ANSWERS: ``settings`` as in report_settings.py, and ``told_apart``, whether the project has looked
which command it is. One that fails ends the process as it would alone.

Django is started once, which takes most of the time of such a command. The settings see the last COMMAND
in ``sys.argv``. Runs with the project's own Python, 3.10 or later, in the folder of ``manage.py``.
"""

import atexit
import gc
import json
import os
import runpy
import sys

from report_settings import settings_said


class Watched(list):
    """The words of a command, which record whether the project looks which command it is."""

    told_apart = False
    all_run = False
    # A project that looks for another command ("test" in sys.argv) gets the same answer from all.
    ours = frozenset()

    def __getitem__(self, index):
        """As of a list."""
        self.told_apart = self.told_apart or index != 0
        return super().__getitem__(index)

    def __iter__(self):
        """As of a list."""
        self.told_apart = True
        return super().__iter__()

    def __contains__(self, word):
        """As of a list."""
        self.told_apart = self.told_apart or word in self.ours
        return super().__contains__(word)


def run_all(commands, words, answers, requests):
    """Run ``commands`` as described above; ``words`` is the project's ``sys.argv``."""
    from django.core.management import ManagementUtility  # noqa: PLC0415 - after manage.py has begun

    for number, command in enumerate(commands):
        if number and not requests.readline():
            break
        utility = ManagementUtility(["manage.py", *command])
        try:
            if number:
                utility.fetch_command(command[0]).run_from_argv(utility.argv)
            else:
                # This call sets Django up, and accepts options that are read before the settings.
                utility.execute()
        except SystemExit as end:
            if end.code:
                raise
        sys.stdout.flush()
        sys.stderr.flush()
        said = {"settings": settings_said(), "told_apart": words.told_apart}
        answers.write(json.dumps(said) + "\n")
        answers.flush()
    words.all_run = True


def end_at_once(words):
    """End the process without Python's own cleanup, which takes as long as a command: when all succeeded.

    Registered first, it is called last (atexit), after everything that the project has registered.
    """
    if words.all_run:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def main(arguments):
    """Run the usage above."""
    # Imported objects stay: the garbage collector would scan them over and over.
    gc.set_threshold(100_000)
    descriptors = [int(descriptor) for descriptor in arguments[:2]]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    commands = [json.loads(argument) for argument in arguments[2:]]
    words = Watched(["manage.py", *commands[-1]])
    atexit.register(end_at_once, words)
    words.ours = {word for command in commands for word in command}
    from django.core import management  # noqa: PLC0415 - the project's, as everything below

    with open(descriptors[0], "w", encoding="utf-8") as answers, open(descriptors[1]) as requests:  # noqa: PTH123
        management.execute_from_command_line = lambda *_: run_all(commands, words, answers, requests)
        # As with `python manage.py`.
        sys.path[0] = os.getcwd()  # noqa: PTH109
        sys.argv = words
        runpy.run_path("manage.py", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
