-- What happened to servers, for people to read. Written by the reconciler and
-- the API, never changed; old ones are removed by the reconciler.

CREATE TABLE IF NOT EXISTS server_events (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL,
    server_id  uuid        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    type       text        NOT NULL CHECK (type IN ('Normal', 'Warning')),
    reason     text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 128),
    message    text        NOT NULL DEFAULT '' CHECK (length(message) <= 1024),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, server_id) REFERENCES servers (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX IF NOT EXISTS server_events_server ON server_events (tenant_id, server_id, id);

CREATE INDEX IF NOT EXISTS server_events_at ON server_events (at);

ALTER TABLE server_events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON server_events;

CREATE POLICY tenant ON server_events FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

DROP POLICY IF EXISTS reconciler ON server_events;

CREATE POLICY reconciler ON server_events FOR ALL TO mchost_reconciler USING (true) WITH CHECK (true);

GRANT SELECT, INSERT ON server_events TO mchost_api;

GRANT SELECT, INSERT, DELETE ON server_events TO mchost_reconciler;
