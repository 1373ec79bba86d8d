"""Facts that must be the same after another PostgreSQL has restored a database."""

from __future__ import annotations

__all__ = ["FACTS", "differences"]

# A psql script: \gexec executes the statements that the query before it returns. Each line of output is a
# fact: "KIND NAME|VALUE". Objects of an extension are left out: they may differ with its version. Since 18
# a column's NOT NULL is a constraint of its own.
FACTS = r"""
CREATE TEMPORARY VIEW ours AS
SELECT c.oid, nspname, relname, relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)'
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e');
SELECT format('SELECT %L, count(*) FROM ONLY %I.%I',
              format('rows of %I.%I', nspname, relname), nspname, relname)
  FROM ours WHERE relkind IN ('r', 'm') \gexec
SELECT format('SELECT format(''migration %%s.%%s'', app, name), 1 FROM %I.%I', nspname, relname)
  FROM ours WHERE relname = 'django_migrations' AND relkind = 'r' \gexec
SELECT format('last value of %I.%I', schemaname, sequencename), last_value FROM pg_sequences;
SELECT format('extension %I', extname), 1 FROM pg_extension;
SELECT format('number of relations of kind %s in %I', relkind, nspname), count(*)
  FROM ours GROUP BY relkind, nspname;
SELECT format('number of constraints of kind %s on %I.%I', contype, nspname, relname), count(*)
  FROM pg_constraint JOIN ours ON ours.oid = conrelid WHERE contype <> 'n'
 GROUP BY contype, nspname, relname;
SELECT format('number of triggers on %I.%I', nspname, relname), count(*)
  FROM pg_trigger JOIN ours ON ours.oid = tgrelid WHERE NOT tgisinternal GROUP BY nspname, relname;
SELECT format('number of functions in %I', nspname), count(*)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
 WHERE nspname NOT IN ('pg_catalog', 'information_schema')
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
 GROUP BY nspname;
SELECT 'number of large objects', count(*) FROM pg_largeobject_metadata;
"""


def differences(before: list[str], after: list[str]) -> list[str]:
    """Return the facts that differ between two outputs of ``FACTS``, as text: one line each."""
    old, new = (dict(line.rsplit("|", 1) for line in facts if "|" in line) for facts in (before, after))
    return [
        f"{fact}: {old.get(fact, 'none')} before, {new.get(fact, 'none')} after"
        for fact in sorted({*old, *new})
        if old.get(fact) != new.get(fact)
    ]
