-- Tenants and their API keys.
--
-- One statement per line group, each on its own and repeatable: the runner
-- sends them one by one, without BEGIN, and remembers every one it has done
-- (CockroachDB has no transactional DDL).

CREATE TABLE IF NOT EXISTS tenants (
    tenant_id    uuid        PRIMARY KEY,
    name         text        NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    max_servers  bigint      NOT NULL DEFAULT 10 CHECK (max_servers >= 0),
    created_at   timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON tenants;

CREATE POLICY tenant ON tenants FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT ON tenants TO mchost_api;

-- What a tenant uses now. Apart from the limits, so that the API may count
-- without being able to raise a limit (CockroachDB has no column grants).
CREATE TABLE IF NOT EXISTS tenant_usage (
    tenant_id  uuid   PRIMARY KEY REFERENCES tenants (tenant_id),
    servers    bigint NOT NULL DEFAULT 0 CHECK (servers >= 0)
);

ALTER TABLE tenant_usage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON tenant_usage;

CREATE POLICY tenant ON tenant_usage FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, UPDATE ON tenant_usage TO mchost_api;

-- Only the SHA-256 of a key is kept, in lower-case hexadecimal.
CREATE TABLE IF NOT EXISTS api_keys (
    tenant_id   uuid        NOT NULL REFERENCES tenants (tenant_id),
    id          uuid        NOT NULL,
    name        text        NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    key_hash    text        NOT NULL CHECK (length(key_hash) = 64),
    role        text        NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'viewer')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    revoked_at  timestamptz,
    PRIMARY KEY (tenant_id, id)
);

-- The one index that does not begin with the tenant: the tenant is what a
-- presented key is looked up for, and a hash tells nothing about a tenant.
CREATE UNIQUE INDEX IF NOT EXISTS api_keys_key_hash ON api_keys (key_hash);

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON api_keys;

CREATE POLICY tenant ON api_keys FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- Before a tenant is known, exactly one row shows: the one whose hash was
-- presented.
DROP POLICY IF EXISTS presented ON api_keys;

CREATE POLICY presented ON api_keys FOR SELECT
    USING (key_hash = nullif(current_setting('app.key_hash', true), ''));

GRANT SELECT ON api_keys TO mchost_api;
