-- Our own tables of the warehouse as the first commits of this repository made them, each with a row. Never to be changed.
CREATE SCHEMA IF NOT EXISTS s3_exports;
CREATE TABLE IF NOT EXISTS s3_exports.files (
    _client_id varchar NOT NULL,
    _file_name varchar NOT NULL,
    table_name varchar NOT NULL,
    etag varchar,
    size bigint,
    last_modified timestamp with time zone,
    rows_in_file bigint,
    rows_loaded bigint,
    rows_rejected bigint,
    rows_filtered bigint,
    status varchar NOT NULL,
    reason varchar,
    _file_date date,
    _loaded_at timestamp with time zone,
    run_id varchar,
    PRIMARY KEY (_client_id, _file_name)
);
INSERT INTO s3_exports.files (_client_id, _file_name, table_name, etag, size, last_modified, rows_in_file,
    rows_loaded, rows_rejected, rows_filtered, status, reason, _file_date, _loaded_at, run_id)
VALUES ('_client_id', '_file_name', 'table_name', 'etag', 1, '2026-03-03 04:00:00+00', 1, 1, 1, 1, 'status', 'reason',
    '2026-03-02', '2026-03-03 04:00:00+00', 'run_id');
CREATE TABLE IF NOT EXISTS s3_exports.rejected_rows (
    _client_id varchar NOT NULL,
    _file_name varchar NOT NULL,
    _row_id bigint NOT NULL,
    _file_date date,
    _loaded_at timestamp with time zone,
    reason varchar,
    line bigint,
    raw varchar
);
INSERT INTO s3_exports.rejected_rows (_client_id, _file_name, _row_id, _file_date, _loaded_at, reason, line, raw)
VALUES ('_client_id', '_file_name', 1, '2026-03-02', '2026-03-03 04:00:00+00', 'reason', 1, 'raw');
CREATE SCHEMA IF NOT EXISTS shop;
CREATE TABLE IF NOT EXISTS shop.windows (
    _client_id varchar NOT NULL,
    resource varchar NOT NULL,
    day date NOT NULL,
    rows bigint NOT NULL,
    vendor_total numeric(20, 4),
    read_cursor varchar,
    swept_at timestamp with time zone,
    loaded_at timestamp with time zone NOT NULL,
    run_id varchar NOT NULL,
    PRIMARY KEY (_client_id, resource, day)
);
INSERT INTO shop.windows (_client_id, resource, day, rows, vendor_total, read_cursor, swept_at, loaded_at, run_id)
VALUES ('_client_id', 'resource', '2026-03-02', 1, 1.5, 'read_cursor', '2026-03-03 04:00:00+00', '2026-03-03
    04:00:00+00', 'run_id');
CREATE TABLE IF NOT EXISTS shop.restatements (
    _client_id varchar NOT NULL,
    resource varchar NOT NULL,
    day date NOT NULL,
    key varchar NOT NULL,
    before json,
    after json,
    seen_at timestamp with time zone NOT NULL,
    run_id varchar NOT NULL
);
INSERT INTO shop.restatements (_client_id, resource, day, key, before, after, seen_at, run_id)
VALUES ('_client_id', 'resource', '2026-03-02', 'key', '{}', '{}', '2026-03-03 04:00:00+00', 'run_id');
CREATE SCHEMA IF NOT EXISTS reports;
CREATE TABLE IF NOT EXISTS reports.reports (
    _client_id varchar NOT NULL,
    report varchar NOT NULL,
    date date NOT NULL,
    version bigint NOT NULL,
    template varchar NOT NULL,
    inputs json NOT NULL,
    subject varchar NOT NULL,
    slack varchar NOT NULL,
    text varchar NOT NULL,
    html varchar,
    sms varchar,
    chart varchar,
    alt varchar NOT NULL,
    hash varchar NOT NULL,
    created_at timestamp with time zone NOT NULL,
    run_id varchar NOT NULL,
    PRIMARY KEY (_client_id, report, date, version)
);
INSERT INTO reports.reports (_client_id, report, date, version, template, inputs, subject, slack, text, html, sms,
    chart, alt, hash, created_at, run_id)
VALUES ('_client_id', 'report', '2026-03-02', 1, 'template', '{}', 'subject', 'slack', 'text', 'html', 'sms', 'chart',
    'alt', 'hash', '2026-03-03 04:00:00+00', 'run_id');
CREATE TABLE IF NOT EXISTS reports.deliveries (
    _client_id varchar NOT NULL,
    report varchar NOT NULL,
    date date NOT NULL,
    channel varchar NOT NULL,
    recipient varchar NOT NULL,
    number bigint NOT NULL,
    key varchar NOT NULL,
    version bigint NOT NULL,
    intent_at timestamp with time zone NOT NULL,
    status varchar NOT NULL,
    provider_id varchar,
    error varchar,
    settled_at timestamp with time zone,
    run_id varchar NOT NULL,
    PRIMARY KEY (_client_id, report, date, channel, recipient, number)
);
INSERT INTO reports.deliveries (_client_id, report, date, channel, recipient, number, key, version, intent_at, status,
    provider_id, error, settled_at, run_id)
VALUES ('_client_id', 'report', '2026-03-02', 'channel', 'recipient', 1, 'key', 1, '2026-03-03 04:00:00+00', 'status',
    'provider_id', 'error', '2026-03-03 04:00:00+00', 'run_id');
CREATE SCHEMA IF NOT EXISTS analysis;
CREATE TABLE IF NOT EXISTS analysis.results (
    _client_id varchar NOT NULL,
    job_id varchar NOT NULL,
    score numeric(18, 4),
    best_campaign varchar,
    campaign_count bigint NOT NULL,
    conversions numeric(18, 4),
    revenue numeric(18, 4),
    cost numeric(18, 4),
    cpa numeric(18, 4),
    roas numeric(18, 4),
    people bigint,
    reached bigint,
    reach_rate numeric(18, 4),
    impressions bigint,
    clicks bigint,
    click_rate numeric(18, 4),
    campaigns json NOT NULL,
    analysis_types json NOT NULL,
    late boolean NOT NULL,
    contract_version varchar NOT NULL,
    hash varchar NOT NULL,
    first_event_at timestamp with time zone NOT NULL,
    last_event_at timestamp with time zone NOT NULL,
    _loaded_at timestamp with time zone NOT NULL,
    PRIMARY KEY (_client_id, job_id)
);
INSERT INTO analysis.results (_client_id, job_id, score, best_campaign, campaign_count, conversions, revenue, cost,
    cpa, roas, people, reached, reach_rate, impressions, clicks, click_rate, campaigns, analysis_types, late,
    contract_version, hash, first_event_at, last_event_at, _loaded_at)
VALUES ('_client_id', 'job_id', 1.5, 'best_campaign', 1, 1.5, 1.5, 1.5, 1.5, 1.5, 1, 1, 1.5, 1, 1, 1.5, '{}', '{}',
    false, 'contract_version', 'hash', '2026-03-03 04:00:00+00', '2026-03-03 04:00:00+00', '2026-03-03 04:00:00+00');
