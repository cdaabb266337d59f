-- What a POST with an Idempotency-Key has done. The row is written in the same
-- transaction as the change; answer is the row that the statement gave, NULL
-- when nothing was done. fingerprint: SHA-256 of the request.

CREATE TABLE IF NOT EXISTS idempotency_keys (
    tenant_id    uuid        NOT NULL REFERENCES tenants (tenant_id),
    owner        text        NOT NULL,
    key          text        NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint  text        NOT NULL CHECK (length(fingerprint) = 64),
    answer       text,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, owner, key)
);

CREATE INDEX IF NOT EXISTS idempotency_keys_expiry ON idempotency_keys (tenant_id, expires_at);

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON idempotency_keys;

CREATE POLICY tenant ON idempotency_keys FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO mchost_api;
