-- The tables of the events, in a schema of their own. Times are UTC instants.
CREATE TABLE IF NOT EXISTS events.inbox (
    tenant_id text NOT NULL,
    job_id text NOT NULL,
    analysis_type text NOT NULL,
    message_id text NOT NULL,
    payload bytea NOT NULL,
    payload_hash bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, job_id, analysis_type)
);

CREATE TABLE IF NOT EXISTS events.job (
    tenant_id text NOT NULL,
    job_id text NOT NULL,
    required text[] NOT NULL,
    arrived text[] NOT NULL,
    contract_version text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'ready', 'done', 'failed', 'expired')),
    late boolean NOT NULL,
    attempts integer NOT NULL,
    last_error text,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    done_at timestamptz,
    pruned_at timestamptz,
    PRIMARY KEY (tenant_id, job_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS job_ready ON events.job (due_at) WHERE status = 'ready';
CREATE INDEX IF NOT EXISTS job_open ON events.job (deadline_at) WHERE status = 'open';
CREATE INDEX IF NOT EXISTS job_expired ON events.job (deadline_at) WHERE status = 'expired';
CREATE INDEX IF NOT EXISTS job_failed ON events.job (tenant_id) WHERE status = 'failed';
CREATE INDEX IF NOT EXISTS job_last ON events.job (last_at);

CREATE TABLE IF NOT EXISTS events.dead_letter (
    id text PRIMARY KEY,
    stage text NOT NULL,
    reason text NOT NULL,
    tenant_id text NOT NULL,
    job_id text NOT NULL,
    analysis_type text NOT NULL,
    message_id text NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    replayed_at timestamptz
);
CREATE INDEX IF NOT EXISTS dead_letter_received ON events.dead_letter (received_at);
CREATE INDEX IF NOT EXISTS dead_letter_open ON events.dead_letter (received_at) WHERE replayed_at IS NULL;

CREATE TABLE IF NOT EXISTS events.result (
    tenant_id text NOT NULL,
    job_id text NOT NULL,
    body bytea NOT NULL,
    version integer NOT NULL,
    kept_at timestamptz NOT NULL,
    published_at timestamptz,
    PRIMARY KEY (tenant_id, job_id)
);
CREATE INDEX IF NOT EXISTS result_unpublished ON events.result (kept_at) WHERE published_at IS NULL;
CREATE INDEX IF NOT EXISTS result_published ON events.result (published_at) WHERE published_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS events.lease (
    name text PRIMARY KEY,
    holder text NOT NULL,
    renewed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
