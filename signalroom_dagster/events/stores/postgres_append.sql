-- One batch of events into the inbox, and what that does to their jobs, as `jobs.arrive` says it.
WITH incoming AS (
    SELECT * FROM unnest(
        %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::bytea[], %s::timestamptz[]
    ) AS event (tenant_id, job_id, analysis_type, message_id, payload, payload_hash, received_at)
), contract AS (
    SELECT
        tenant_id,
        string_to_array(required, ',') AS required,
        version,
        make_interval(secs => seconds) AS deadline
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::float8[])
        AS one (tenant_id, required, version, seconds)
), kept AS (
    INSERT INTO events.inbox
        (tenant_id, job_id, analysis_type, message_id, payload, payload_hash, received_at)
    SELECT incoming.*
    FROM incoming LEFT JOIN events.job USING (tenant_id, job_id)
    WHERE job.pruned_at IS NULL
    ORDER BY tenant_id, job_id, analysis_type
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, job_id, analysis_type, received_at
), arrival AS (
    SELECT
        tenant_id,
        job_id,
        array_agg(analysis_type) AS types,
        min(received_at) AS first_at,
        max(received_at) AS last_at
    FROM kept
    GROUP BY tenant_id, job_id
), changed AS (
    INSERT INTO events.job (
        tenant_id, job_id, required, arrived, contract_version, status, late, attempts,
        first_at, last_at, deadline_at, due_at
    )
    SELECT
        tenant_id, job_id, required, types, version,
        CASE WHEN required <@ types THEN 'ready' ELSE 'open' END,
        false, 0, first_at, last_at, first_at + deadline, least(last_at, now())
    FROM arrival JOIN contract USING (tenant_id)
    ORDER BY tenant_id, job_id
    ON CONFLICT (tenant_id, job_id) DO UPDATE SET
        arrived = job.arrived || excluded.arrived,
        last_at = greatest(job.last_at, excluded.last_at),
        late = job.late
            OR job.status = 'expired'
            OR (job.status = 'open' AND excluded.first_at > job.deadline_at),
        (status, due_at) = (
            SELECT
                CASE WHEN complete THEN 'ready' ELSE job.status END,
                CASE
                    WHEN complete THEN least(greatest(job.last_at, excluded.last_at), now())
                    ELSE job.due_at
                END
            FROM (
                SELECT job.status IN ('open', 'expired')
                    AND job.pruned_at IS NULL
                    AND job.required <@ (job.arrived || excluded.arrived) AS complete
            ) AS arrived_now
        )
    RETURNING tenant_id, job_id, late
)
SELECT tenant_id, job_id, analysis_type, late
FROM kept JOIN changed USING (tenant_id, job_id)
