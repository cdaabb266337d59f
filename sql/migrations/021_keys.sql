-- Keys as a resource: scopes, servers, last use; and who may make which.

-- NULL: everything that the role may do; all servers of the tenant.
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS scopes text[];

ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS servers uuid[];

-- Keys are made and removed, never changed: a key's role can not be raised.
GRANT INSERT, DELETE ON api_keys TO mchost_api;

-- Nobody hands out, or takes away, more than he has.
DROP POLICY IF EXISTS own_role_insert ON api_keys;

CREATE POLICY own_role_insert ON api_keys AS RESTRICTIVE FOR INSERT TO mchost_api
    WITH CHECK (array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], role)
             <= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], current_setting('app.role', true)));

DROP POLICY IF EXISTS own_role_delete ON api_keys;

CREATE POLICY own_role_delete ON api_keys AS RESTRICTIVE FOR DELETE TO mchost_api
    USING (array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], role)
        <= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], current_setting('app.role', true)));

-- When a key was used last, to the minute. Apart from the keys, which the API
-- may not change.
CREATE TABLE IF NOT EXISTS key_use (
    tenant_id  uuid        NOT NULL REFERENCES tenants (tenant_id),
    key_id     uuid        NOT NULL,
    used_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
);

ALTER TABLE key_use ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON key_use;

CREATE POLICY tenant ON key_use FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE, DELETE ON key_use TO mchost_api;

-- Keys from before count as well (as in 020).
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;

ALTER TABLE tenant_usage NO FORCE ROW LEVEL SECURITY;

UPDATE tenant_usage u SET keys = q.keys
  FROM (SELECT tenant_id, count(*) AS keys FROM api_keys GROUP BY tenant_id) q
 WHERE u.tenant_id = q.tenant_id;

ALTER TABLE tenant_usage FORCE ROW LEVEL SECURITY;

ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;

-- A key with a list of servers sees those alone: every other one is, for it,
-- not there. The list is empty for everybody else.
DROP POLICY IF EXISTS key_servers ON servers;

CREATE POLICY key_servers ON servers AS RESTRICTIVE FOR ALL TO mchost_api
    USING      (nullif(current_setting('app.servers', true), '') IS NULL
             OR id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]))
    WITH CHECK (nullif(current_setting('app.servers', true), '') IS NULL
             OR id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]));

DROP POLICY IF EXISTS key_servers ON server_status;

CREATE POLICY key_servers ON server_status AS RESTRICTIVE FOR ALL TO mchost_api
    USING      (nullif(current_setting('app.servers', true), '') IS NULL
             OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]))
    WITH CHECK (nullif(current_setting('app.servers', true), '') IS NULL
             OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]));

-- The trail of what has no server may be written by such a key, not read.
DROP POLICY IF EXISTS key_servers ON audit;

CREATE POLICY key_servers ON audit AS RESTRICTIVE FOR SELECT TO mchost_api
    USING (nullif(current_setting('app.servers', true), '') IS NULL
        OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]));

-- The member whose session it was; an API key has its own column.
ALTER TABLE audit ADD COLUMN IF NOT EXISTS member_id uuid DEFAULT nullif(current_setting('app.member_id', true), '')::uuid;
