"""Row level security on Postgres: a reader of a table sees the rows of its own clients alone.

Every table is secured in the transaction that creates it, so that it is never seen without. A
client's readers are the members of the role `signalroom_client_<id>`: no session state, so that
poolers do. Members of `signalroom_agency` see all. The owner, which loads, is held to nothing. What
has no `_client_id` is closed to all but its owner. The roles are made by `signalroom roles --sql`;
who has none of them, as Supabase's `anon` and `authenticated`, sees nothing.

https://www.postgresql.org/docs/current/ddl-rowsecurity.html
"""

from collections.abc import Iterable

POLICY = "signalroom_client"

_SECURE = f"""DO $secure$
DECLARE
  target CONSTANT regclass := to_regclass({{table}});
  has_client CONSTANT boolean := EXISTS (
    SELECT FROM pg_catalog.pg_attribute
    WHERE attrelid = target AND attname = '_client_id' AND NOT attisdropped);
  space CONSTANT regnamespace := (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = target);
BEGIN
  IF target IS NULL OR NOT (
    SELECT pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = target
  ) THEN
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
    EXECUTE 'DROP POLICY IF EXISTS signalroom_agency ON ' || target;
    EXECUTE 'CREATE POLICY signalroom_agency ON ' || target
      || ' FOR SELECT TO signalroom_agency USING (true)';
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
JOIN pg_catalog.pg_attribute AS a
  ON a.attrelid = c.oid AND a.attname = '_client_id' AND NOT a.attisdropped
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
  AND NOT coalesce(
    'security_invoker=true' = ANY (v.reloptions)
    OR 'security_invoker=on' = ANY (v.reloptions), false)
ORDER BY 1
"""
"""The views that read a secured table with their owner's rights: they show every client's rows."""


_ROLES = """\
-- Who may read what in the warehouse: written by `signalroom roles --sql` for the clients that
-- there are. Run it as the database's administrator, in the warehouse's database, as often as you
-- like; and again after a new client, and before and after a restore.
--
--   signalroom_loader        what SignalRoom connects with: owns its tables, is held to no policy
--   signalroom_reader        may read SignalRoom's tables, and sees no row of them
--                            (what the next two have in common)
--   signalroom_client_<id>   sees the rows of one client
--   signalroom_agency        sees the rows of all clients
--
-- None but the loader can log in. Afterwards, with passwords of your own:
--   ALTER ROLE signalroom_loader PASSWORD '...';
--   CREATE ROLE dashboard_713 LOGIN PASSWORD '...' IN ROLE signalroom_client_713;
BEGIN;

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY[{roles}] LOOP
    IF to_regrole('signalroom_' || role) IS NULL THEN
      EXECUTE format('CREATE ROLE %I', 'signalroom_' || role);
    END IF;
    IF role = 'agency' OR starts_with(role, 'client_') THEN
      EXECUTE format('GRANT signalroom_reader TO %I', 'signalroom_' || role);
    END IF;
  END LOOP;
  ALTER ROLE signalroom_loader LOGIN;
  EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO signalroom_loader',
    current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO signalroom_reader', current_database());
  -- Whoever runs this has to be a member to hand tables over.
  EXECUTE format('GRANT signalroom_loader TO %I', current_user);
END $$;

DO $$
DECLARE
  -- The schemas that SignalRoom keeps tables in, or has kept some in.
  spaces CONSTANT oid[] := array(
    SELECT oid FROM pg_namespace AS n WHERE nspname = ANY (ARRAY[{schemas}]) OR EXISTS (
      SELECT FROM pg_policy AS p JOIN pg_class AS t ON t.oid = p.polrelid
      WHERE t.relnamespace = n.oid AND p.polname = 'signalroom_client'));
  ours record;
BEGIN
  FOR ours IN SELECT space::regnamespace AS name FROM unnest(spaces) AS space LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO signalroom_reader', ours.name);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %s TO signalroom_loader', ours.name);
  END LOOP;

  -- Its tables there: what has clients' rows and its policy, dlt's own, and the events, which
  -- nobody else reads.
  FOR ours IN
    SELECT t.oid::regclass AS name, pg_get_userbyid(t.relowner) AS owner,
      p.oid IS NOT NULL AS has_policy, EXISTS (
        SELECT FROM pg_policy AS a WHERE a.polrelid = t.oid AND a.polname = 'signalroom_agency'
      ) AS is_shown
    FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
    LEFT JOIN pg_policy AS p ON p.polrelid = t.oid AND p.polname = 'signalroom_client'
    WHERE t.relkind IN ('r', 'p') AND n.oid = ANY (spaces)
      AND (p.oid IS NOT NULL OR nspname = 'events' OR starts_with(relname, '_dlt_'))
  LOOP
    IF ours.owner <> 'signalroom_loader' THEN
      -- As a member, the role that SignalRoom connected as so far goes on loading.
      IF NOT pg_has_role(ours.owner, 'signalroom_loader', 'USAGE') THEN
        EXECUTE format('GRANT signalroom_loader TO %I', ours.owner);
      END IF;
      EXECUTE format('ALTER TABLE %s OWNER TO signalroom_loader', ours.name);
    END IF;
    IF ours.has_policy AND NOT ours.is_shown THEN
      EXECUTE format('CREATE POLICY signalroom_agency ON %s FOR SELECT TO signalroom_agency '
        'USING (true)', ours.name);
    END IF;
    IF ours.has_policy THEN
      EXECUTE format('GRANT SELECT ON %s TO signalroom_reader', ours.name);
    END IF;
  END LOOP;
END $$;

COMMIT;
"""


def roles_sql(clients: Iterable[str], schemas: Iterable[str]) -> str:
    """What makes the roles of some clients, and gives them the tables that are there in our
    schemas.

    It can be run again at any time. Tables that come later give themselves to the roles.
    """
    roles = ("loader", "reader", "agency", *(f"client_{client}" for client in clients))
    return _ROLES.format(roles=_listed(roles), schemas=_listed(schemas))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def secure(table: str) -> str:
    """The statement that secures a table, named as in SQL; on Postgres only.

    It changes, and locks, nothing that is secured already, and leaves tables of other owners alone.
    """
    literal = table.replace("'", "''")
    return _SECURE.format(table=f"'{literal}'")
