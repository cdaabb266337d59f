-- What servers used, over time. Written and, when it is old, removed by the
-- reconciler. What was not measured is NULL.

CREATE TABLE IF NOT EXISTS server_metrics (
    tenant_id      uuid             NOT NULL,
    server_id      uuid             NOT NULL,
    at             timestamptz      NOT NULL,
    cpu            double precision,
    memory_bytes   bigint,
    storage_bytes  bigint,
    players        bigint,
    tps            double precision,
    mspt           double precision,
    PRIMARY KEY (tenant_id, server_id, at),
    FOREIGN KEY (tenant_id, server_id) REFERENCES servers (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX IF NOT EXISTS server_metrics_at ON server_metrics (at);

ALTER TABLE server_metrics ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON server_metrics;

CREATE POLICY tenant ON server_metrics FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

DROP POLICY IF EXISTS reconciler ON server_metrics;

CREATE POLICY reconciler ON server_metrics FOR ALL TO mchost_reconciler USING (true) WITH CHECK (true);

GRANT SELECT ON server_metrics TO mchost_api;

GRANT SELECT, INSERT, UPDATE, DELETE ON server_metrics TO mchost_reconciler;
