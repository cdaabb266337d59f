-- Tickets for sockets: single use, 30 seconds, bound to an origin. A ticket
-- stands for the credential that it was asked for with.

CREATE TABLE IF NOT EXISTS ws_tickets (
    tenant_id        uuid        NOT NULL REFERENCES tenants (tenant_id),
    id               uuid        NOT NULL,
    ticket_hash      text        NOT NULL CHECK (length(ticket_hash) = 64),
    kind             text        NOT NULL CHECK (kind IN ('key', 'session')),
    credential_hash  text        NOT NULL CHECK (length(credential_hash) = 64),
    origin           text        NOT NULL DEFAULT '',
    expires_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX IF NOT EXISTS ws_tickets_hash ON ws_tickets (ticket_hash);

CREATE INDEX IF NOT EXISTS ws_tickets_expiry ON ws_tickets (tenant_id, expires_at);

ALTER TABLE ws_tickets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON ws_tickets;

CREATE POLICY tenant ON ws_tickets FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

DROP POLICY IF EXISTS presented ON ws_tickets;

CREATE POLICY presented ON ws_tickets FOR ALL TO mchost_api
    USING      (ticket_hash = nullif(current_setting('app.key_hash', true), ''))
    WITH CHECK (false);

GRANT SELECT, INSERT, DELETE ON ws_tickets TO mchost_api;
