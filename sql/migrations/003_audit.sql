-- Who did what. The API may add rows and read them, never change them.

CREATE TABLE IF NOT EXISTS audit (
    tenant_id   uuid        NOT NULL REFERENCES tenants (tenant_id),
    id          uuid        NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    key_id      uuid,
    action      text        NOT NULL,
    server_id   uuid,
    request_id  text        NOT NULL DEFAULT '',
    detail      jsonb,
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX IF NOT EXISTS audit_server ON audit (tenant_id, server_id, id);

ALTER TABLE audit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON audit;

CREATE POLICY tenant ON audit FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT ON audit TO mchost_api;
