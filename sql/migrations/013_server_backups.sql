-- Records of backups. The reconciler writes them; the API reads them and
-- removes a record.

CREATE TABLE IF NOT EXISTS server_backups (
    tenant_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    server_id    uuid        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    trigger      text        NOT NULL CHECK (trigger IN ('Manual', 'Schedule')),
    state        text        NOT NULL CHECK (state IN ('Pending', 'Running', 'Succeeded', 'Failed')),
    bytes        bigint      CHECK (bytes >= 0),
    version      text,
    message      text        NOT NULL DEFAULT '' CHECK (length(message) <= 1024),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, server_id) REFERENCES servers (tenant_id, id)
);

CREATE INDEX IF NOT EXISTS server_backups_server ON server_backups (tenant_id, server_id, id);

ALTER TABLE server_backups ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON server_backups;

CREATE POLICY tenant ON server_backups FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

DROP POLICY IF EXISTS reconciler ON server_backups;

CREATE POLICY reconciler ON server_backups FOR ALL TO mchost_reconciler USING (true) WITH CHECK (true);

GRANT SELECT, DELETE ON server_backups TO mchost_api;

GRANT SELECT, INSERT, UPDATE ON server_backups TO mchost_reconciler;
