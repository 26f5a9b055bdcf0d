-- The tables of the events in a file. Times are whole microseconds since 1970 (UTC), sets of names JSON lists.
CREATE TABLE IF NOT EXISTS inbox (
    tenant_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    analysis_type TEXT NOT NULL,
    message_id TEXT NOT NULL,
    payload BLOB NOT NULL,
    payload_hash BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, job_id, analysis_type)
);

CREATE TABLE IF NOT EXISTS job (
    tenant_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    required TEXT NOT NULL,
    arrived TEXT NOT NULL,
    contract_version TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'ready', 'done', 'failed', 'expired')),
    late INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    deadline_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    done_at INTEGER,
    pruned_at INTEGER,
    PRIMARY KEY (tenant_id, job_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_ready ON job (due_at) WHERE status = 'ready';
CREATE INDEX IF NOT EXISTS job_open ON job (deadline_at) WHERE status = 'open';
CREATE INDEX IF NOT EXISTS job_expired ON job (deadline_at) WHERE status = 'expired';
CREATE INDEX IF NOT EXISTS job_failed ON job (tenant_id) WHERE status = 'failed';
CREATE INDEX IF NOT EXISTS job_last ON job (last_at);

CREATE TABLE IF NOT EXISTS dead_letter (
    id TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    reason TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    analysis_type TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    replayed_at INTEGER
);
CREATE INDEX IF NOT EXISTS dead_letter_received ON dead_letter (received_at);
CREATE INDEX IF NOT EXISTS dead_letter_open ON dead_letter (received_at) WHERE replayed_at IS NULL;

CREATE TABLE IF NOT EXISTS result (
    tenant_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    body BLOB NOT NULL,
    version INTEGER NOT NULL,
    kept_at INTEGER NOT NULL,
    published_at INTEGER,
    PRIMARY KEY (tenant_id, job_id)
);
CREATE INDEX IF NOT EXISTS result_unpublished ON result (kept_at) WHERE published_at IS NULL;
CREATE INDEX IF NOT EXISTS result_published ON result (published_at) WHERE published_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    renewed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
