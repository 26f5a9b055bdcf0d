"""Row level security on Postgres: whoever may read a table sees the rows of its own clients, and no others.

Every table is secured in the transaction that creates it, so that it is never seen without. A client's readers are the
members of the role `signalroom_client_<id>`: no session state, so that poolers do. Members of `signalroom_agency` see
all. The owner, which loads, is held to nothing. What has no `_client_id` is closed to all but its owner. The roles
are made by `deploy/postgres/roles.sql`; who has none of them, as Supabase's `anon` and `authenticated`, sees nothing.

https://www.postgresql.org/docs/current/ddl-rowsecurity.html
"""

POLICY = "signalroom_client"

_SECURE = f"""DO $secure$
DECLARE
  target CONSTANT regclass := to_regclass({{table}});
  has_client CONSTANT boolean := EXISTS (
    SELECT FROM pg_catalog.pg_attribute WHERE attrelid = target AND attname = '_client_id' AND NOT attisdropped);
  space CONSTANT regnamespace := (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = target);
BEGIN
  IF target IS NULL OR NOT (SELECT pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = target) THEN
    RETURN;
  END IF;
  IF NOT (SELECT relrowsecurity FROM pg_catalog.pg_class WHERE oid = target) THEN
    EXECUTE 'ALTER TABLE ' || target || ' ENABLE ROW LEVEL SECURITY';
  END IF;
  IF NOT has_client OR EXISTS (
    SELECT FROM pg_catalog.pg_policy WHERE polrelid = target AND polname = '{POLICY}') THEN
    RETURN;
  END IF;
  EXECUTE 'CREATE POLICY {POLICY} ON ' || target || ' USING (_client_id = ANY (ARRAY('
    'SELECT substr(rolname, 19) FROM pg_catalog.pg_roles '
    'WHERE starts_with(rolname, ''signalroom_client_'') AND pg_has_role(oid, ''USAGE''))))';
  IF to_regrole('signalroom_agency') IS NOT NULL THEN
    EXECUTE 'CREATE POLICY signalroom_agency ON ' || target || ' FOR SELECT TO signalroom_agency USING (true)';
  END IF;
  IF to_regrole('signalroom_reader') IS NOT NULL THEN
    IF NOT has_schema_privilege('signalroom_reader', space, 'USAGE') THEN
      EXECUTE 'GRANT USAGE ON SCHEMA ' || space || ' TO signalroom_reader';
    END IF;
    EXECUTE 'GRANT SELECT ON ' || target || ' TO signalroom_reader';
  END IF;
END $secure$"""

UNSECURED = """
SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = '_client_id' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relrowsecurity
ORDER BY 1
"""
"""The tables that hold clients' rows and show them to whoever may read the table."""

OPEN_VIEWS = f"""
SELECT DISTINCT n.nspname || '.' || v.relname FROM pg_catalog.pg_class AS v
JOIN pg_catalog.pg_namespace AS n ON n.oid = v.relnamespace
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = v.oid
JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  AND d.refclassid = 'pg_class'::regclass
JOIN pg_catalog.pg_policy AS p ON p.polrelid = d.refobjid AND p.polname = '{POLICY}'
WHERE v.relkind IN ('v', 'm')
  AND NOT coalesce('security_invoker=true' = ANY (v.reloptions) OR 'security_invoker=on' = ANY (v.reloptions), false)
ORDER BY 1
"""
"""The views that read a secured table with their owner's rights: they show every client's rows."""


def secure(table: str) -> str:
    """The statement that secures a table, named as in SQL; on Postgres only.

    It changes, and locks, nothing that is secured already, and leaves tables of other owners alone.
    """
    literal = table.replace("'", "''")
    return _SECURE.format(table=f"'{literal}'")
