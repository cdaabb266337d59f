-- The platform's operators: their keys, their trail, and what they may see.
-- All of it shows only after one of their keys was presented.

CREATE TABLE IF NOT EXISTS platform_keys (
    id          uuid        PRIMARY KEY,
    name        text        NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    key_hash    text        NOT NULL CHECK (length(key_hash) = 64),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz
);

CREATE UNIQUE INDEX IF NOT EXISTS platform_keys_key_hash ON platform_keys (key_hash);

ALTER TABLE platform_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS presented ON platform_keys;

CREATE POLICY presented ON platform_keys FOR SELECT TO mchost_platform
    USING (key_hash = nullif(current_setting('app.key_hash', true), ''));

DROP POLICY IF EXISTS platform ON platform_keys;

CREATE POLICY platform ON platform_keys FOR ALL TO mchost_platform
    USING      (nullif(current_setting('app.platform_key', true), '') IS NOT NULL)
    WITH CHECK (nullif(current_setting('app.platform_key', true), '') IS NOT NULL);

-- The first key is put in by the tables' owner, who has no other way in.
DROP POLICY IF EXISTS first ON platform_keys;

CREATE POLICY first ON platform_keys FOR ALL TO mchost_owner USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, DELETE ON platform_keys TO mchost_platform;

CREATE TABLE IF NOT EXISTS platform_audit (
    id          uuid        PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    key_id      uuid        NOT NULL,
    action      text        NOT NULL,
    about       uuid,
    request_id  text        NOT NULL DEFAULT '',
    detail      jsonb
);

ALTER TABLE platform_audit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS platform ON platform_audit;

CREATE POLICY platform ON platform_audit FOR ALL TO mchost_platform
    USING      (nullif(current_setting('app.platform_key', true), '') IS NOT NULL)
    WITH CHECK (nullif(current_setting('app.platform_key', true), '') IS NOT NULL);

GRANT SELECT, INSERT ON platform_audit TO mchost_platform;

DROP POLICY IF EXISTS platform ON tenants;

CREATE POLICY platform ON tenants FOR ALL TO mchost_platform
    USING      (nullif(current_setting('app.platform_key', true), '') IS NOT NULL)
    WITH CHECK (nullif(current_setting('app.platform_key', true), '') IS NOT NULL);

GRANT SELECT, INSERT, UPDATE ON tenants TO mchost_platform;

DROP POLICY IF EXISTS platform ON tenant_usage;

CREATE POLICY platform ON tenant_usage FOR ALL TO mchost_platform
    USING      (nullif(current_setting('app.platform_key', true), '') IS NOT NULL)
    WITH CHECK (nullif(current_setting('app.platform_key', true), '') IS NOT NULL);

GRANT SELECT, INSERT, UPDATE ON tenant_usage TO mchost_platform;

-- A tenant's first key is made with it, the others end with it.
DROP POLICY IF EXISTS platform ON api_keys;

CREATE POLICY platform ON api_keys FOR ALL TO mchost_platform
    USING      (nullif(current_setting('app.platform_key', true), '') IS NOT NULL)
    WITH CHECK (nullif(current_setting('app.platform_key', true), '') IS NOT NULL);

GRANT SELECT, INSERT, DELETE ON api_keys TO mchost_platform;
