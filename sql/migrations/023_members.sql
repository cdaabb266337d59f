-- People: members of a tenant, their invitations and sessions.

-- email is in lower case. Until an invitation is accepted there is no
-- password_hash; invite_hash is the SHA-256 of the invitation's token.
CREATE TABLE IF NOT EXISTS members (
    tenant_id          uuid        NOT NULL REFERENCES tenants (tenant_id),
    id                 uuid        NOT NULL,
    email              text        NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    name               text        NOT NULL DEFAULT '' CHECK (length(name) <= 64),
    role               text        NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'viewer')),
    password_hash      text,
    totp_secret        text,
    totp_enabled       boolean     NOT NULL DEFAULT false,
    totp_step          bigint      NOT NULL DEFAULT 0,
    invite_hash        text,
    invite_expires_at  timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX IF NOT EXISTS members_email ON members (tenant_id, email);

-- For who logs in, and who accepts: the tenant is what they are looked up for.
CREATE INDEX IF NOT EXISTS members_login ON members (email);

CREATE UNIQUE INDEX IF NOT EXISTS members_invite ON members (invite_hash);

ALTER TABLE members ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON members;

CREATE POLICY tenant ON members FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

DROP POLICY IF EXISTS login ON members;

CREATE POLICY login ON members FOR SELECT TO mchost_api
    USING (email = nullif(current_setting('app.login', true), ''));

DROP POLICY IF EXISTS invited ON members;

CREATE POLICY invited ON members FOR SELECT TO mchost_api
    USING (invite_hash = nullif(current_setting('app.key_hash', true), ''));

-- Nobody makes, changes or removes a member above himself.
DROP POLICY IF EXISTS own_role_insert ON members;

CREATE POLICY own_role_insert ON members AS RESTRICTIVE FOR INSERT TO mchost_api
    WITH CHECK (array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], role)
             <= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], current_setting('app.role', true)));

DROP POLICY IF EXISTS own_role_update ON members;

CREATE POLICY own_role_update ON members AS RESTRICTIVE FOR UPDATE TO mchost_api
    USING      (array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], role)
             <= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], current_setting('app.role', true)))
    WITH CHECK (array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], role)
             <= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], current_setting('app.role', true)));

DROP POLICY IF EXISTS own_role_delete ON members;

CREATE POLICY own_role_delete ON members AS RESTRICTIVE FOR DELETE TO mchost_api
    USING (array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], role)
        <= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], current_setting('app.role', true)));

GRANT SELECT, INSERT, UPDATE, DELETE ON members TO mchost_api;

-- A session is presented like a key; its role is kept equal to its member's.
CREATE TABLE IF NOT EXISTS sessions (
    tenant_id   uuid        NOT NULL,
    id          uuid        NOT NULL,
    member_id   uuid        NOT NULL,
    token_hash  text        NOT NULL CHECK (length(token_hash) = 64),
    role        text        NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'viewer')),
    address     text        NOT NULL DEFAULT '',
    agent       text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX IF NOT EXISTS sessions_token_hash ON sessions (token_hash);

CREATE INDEX IF NOT EXISTS sessions_member ON sessions (tenant_id, member_id, id);

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenant ON sessions;

CREATE POLICY tenant ON sessions FOR ALL
    USING      (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

DROP POLICY IF EXISTS presented ON sessions;

CREATE POLICY presented ON sessions FOR SELECT TO mchost_api
    USING (token_hash = nullif(current_setting('app.key_hash', true), ''));

DROP POLICY IF EXISTS own_role_insert ON sessions;

CREATE POLICY own_role_insert ON sessions AS RESTRICTIVE FOR INSERT TO mchost_api
    WITH CHECK (array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], role)
             <= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], current_setting('app.role', true)));

DROP POLICY IF EXISTS own_role_update ON sessions;

CREATE POLICY own_role_update ON sessions AS RESTRICTIVE FOR UPDATE TO mchost_api
    USING      (true)
    WITH CHECK (array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], role)
             <= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], current_setting('app.role', true)));

GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO mchost_api;

-- A tenant that is closed loses both.
DROP POLICY IF EXISTS platform ON members;

CREATE POLICY platform ON members FOR ALL TO mchost_platform
    USING      (nullif(current_setting('app.platform_key', true), '') IS NOT NULL)
    WITH CHECK (nullif(current_setting('app.platform_key', true), '') IS NOT NULL);

GRANT SELECT, DELETE ON members TO mchost_platform;
