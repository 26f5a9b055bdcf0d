-- Who may read what in the warehouse. Run it as the database's administrator, in the warehouse's database, as often as
-- you like: psql -v ON_ERROR_STOP=1 -f deploy/postgres/roles.sql, or pasted into Supabase's SQL editor.
--
-- SignalRoom puts row level security on every table in the transaction that creates it, with the policy
-- signalroom_client: whoever is a member of the role signalroom_client_<id> sees that client's rows. This file makes the
-- roles, and gives them the tables that are there already; tables that come later give themselves to them.
--
--   signalroom_loader        what SignalRoom connects with: owns its tables, is held to no policy
--   signalroom_reader        may read SignalRoom's tables, and sees no row of them: what the next two have in common
--   signalroom_client_<id>   sees the rows of one client
--   signalroom_agency        sees the rows of all clients
--
-- None but the loader can log in. Afterwards, with passwords of your own:
--   ALTER ROLE signalroom_loader PASSWORD '...';
--   CREATE ROLE dashboard_713 LOGIN PASSWORD '...' IN ROLE signalroom_client_713;
BEGIN;

DO $$
DECLARE
  clients CONSTANT text[] := ARRAY['713', 'cti'];  -- a new client: add its id and run the file again
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['loader', 'reader', 'agency'] || array(SELECT 'client_' || id FROM unnest(clients) AS id) LOOP
    IF to_regrole('signalroom_' || role) IS NULL THEN
      EXECUTE format('CREATE ROLE %I', 'signalroom_' || role);
    END IF;
    IF role = 'agency' OR starts_with(role, 'client_') THEN
      EXECUTE format('GRANT signalroom_reader TO %I', 'signalroom_' || role);
    END IF;
  END LOOP;
  ALTER ROLE signalroom_loader LOGIN;
  EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO signalroom_loader', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO signalroom_reader', current_database());
  GRANT USAGE, CREATE ON SCHEMA public TO signalroom_loader;
  GRANT USAGE ON SCHEMA public TO signalroom_reader;
  -- Whoever runs this has to be a member to hand tables over.
  EXECUTE format('GRANT signalroom_loader TO %I', current_user);
END $$;

DO $$
DECLARE
  secured record;
  space record;
BEGIN
  FOR secured IN
    SELECT t.oid::regclass AS name, t.relowner, EXISTS (
      SELECT FROM pg_policy AS a WHERE a.polrelid = t.oid AND a.polname = 'signalroom_agency') AS is_shown
    FROM pg_class AS t JOIN pg_policy AS p ON p.polrelid = t.oid WHERE p.polname = 'signalroom_client'
  LOOP
    IF NOT secured.is_shown THEN
      EXECUTE format('CREATE POLICY signalroom_agency ON %s FOR SELECT TO signalroom_agency USING (true)', secured.name);
    END IF;
    EXECUTE format('GRANT SELECT ON %s TO signalroom_reader', secured.name);
  END LOOP;

  -- The schemas, and in them dlt's own tables, which nobody else reads.
  FOR space IN
    SELECT DISTINCT t.relnamespace::regnamespace AS name FROM pg_class AS t JOIN pg_policy AS p ON p.polrelid = t.oid
    WHERE p.polname = 'signalroom_client'
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO signalroom_reader', space.name);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %s TO signalroom_loader', space.name);
    FOR secured IN
      SELECT t.oid::regclass AS name, pg_get_userbyid(t.relowner) AS owner FROM pg_class AS t
      WHERE t.relnamespace = space.name AND t.relkind IN ('r', 'p') AND t.relowner <> to_regrole('signalroom_loader')
        AND (starts_with(t.relname, '_dlt_') OR EXISTS (
          SELECT FROM pg_policy AS p WHERE p.polrelid = t.oid AND p.polname = 'signalroom_client'))
    LOOP
      -- As a member, the role that SignalRoom connected as so far goes on loading.
      IF NOT pg_has_role(secured.owner, 'signalroom_loader', 'USAGE') THEN
        EXECUTE format('GRANT signalroom_loader TO %I', secured.owner);
      END IF;
      EXECUTE format('ALTER TABLE %s OWNER TO signalroom_loader', secured.name);
    END LOOP;
  END LOOP;
END $$;

COMMIT;
