-- Servers: what is wanted (servers) and what was seen (server_status).

CREATE TABLE IF NOT EXISTS servers (
    tenant_id   uuid        NOT NULL REFERENCES tenants (tenant_id),
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    generation  bigint      NOT NULL DEFAULT 1,
    spec_owner  text        NOT NULL DEFAULT 'db' CHECK (spec_owner IN ('db', 'gitops')),
    spec        jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz,
    purge       boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id)
);

-- A tombstone does not hold the name.
CREATE UNIQUE INDEX IF NOT EXISTS servers_name ON servers (tenant_id, name) WHERE deleted_at IS NULL;

ALTER TABLE servers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON servers;

CREATE POLICY tenant ON servers FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- The reconciler reads every tenant's servers and writes none of them.
DROP POLICY IF EXISTS reconciler ON servers;

CREATE POLICY reconciler ON servers FOR SELECT TO mchost_reconciler USING (true);

GRANT SELECT, INSERT, UPDATE ON servers TO mchost_api;

GRANT SELECT ON servers TO mchost_reconciler;

-- Written by the reconciler alone. seq grows with every write, so that a
-- reader can tell which of two statuses is the newer one.
-- finalized_at: a tombstone whose containers are gone.
CREATE TABLE IF NOT EXISTS server_status (
    tenant_id            uuid        NOT NULL,
    server_id            uuid        NOT NULL,
    observed_generation  bigint      NOT NULL,
    seq                  bigint      NOT NULL DEFAULT 1,
    status               jsonb       NOT NULL,
    updated_at           timestamptz NOT NULL DEFAULT now(),
    finalized_at         timestamptz,
    PRIMARY KEY (tenant_id, server_id),
    FOREIGN KEY (tenant_id, server_id) REFERENCES servers (tenant_id, id)
);

ALTER TABLE server_status ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON server_status;

CREATE POLICY tenant ON server_status FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

DROP POLICY IF EXISTS reconciler ON server_status;

CREATE POLICY reconciler ON server_status FOR ALL TO mchost_reconciler USING (true) WITH CHECK (true);

GRANT SELECT ON server_status TO mchost_api;

GRANT SELECT, INSERT, UPDATE ON server_status TO mchost_reconciler;
