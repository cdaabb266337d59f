-- Statements of people, tickets and the platform's side; sql/statements.sql says
-- how they are written, and has the fragments that all share.


-- == People ==

-- fragment: member_document
json_build_object(
    'id', m.id, 'email', m.email, 'name', m.name, 'role', m.role, 'totp', m.totp_enabled,
    'state', CASE WHEN m.password_hash IS NOT NULL THEN 'Active'
                  WHEN m.invite_expires_at > now() THEN 'Invited' ELSE 'Expired' END,
    'createdAt', m.created_at)

-- name: member_list
-- params: limit, after
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT m.id, row_number() OVER w AS n, lead(m.id) OVER w IS NOT NULL AS more,
               {{member_document}} AS document
          FROM members m
         WHERE m.tenant_id = {{tenant}}
           AND m.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
        WINDOW w AS (ORDER BY m.id)
         ORDER BY m.id
         LIMIT $1::bigint + 1) page;

-- name: member_get
-- params: id
-- read-only
SELECT {{member_document}} FROM members m WHERE m.tenant_id = {{tenant}} AND m.id = $1::uuid;

-- An invitation lasts a week. No row: the role is above the caller's.
-- name: member_invite
-- params: id, email, name, role, invite_hash, audit_id, request_id
WITH m AS (
    INSERT INTO members (tenant_id, id, email, name, role, invite_hash, invite_expires_at)
    SELECT {{tenant}}, $1::uuid, lower($2), $3, $4, $5, now() + interval '7 days'
     WHERE {{tenant}} IS NOT NULL
       AND array_position({{roles}}, $4) <= array_position({{roles}}, current_setting('app.role', true))
    RETURNING tenant_id, id, email, name, role, totp_enabled, password_hash, invite_expires_at, created_at
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, request_id, detail)
    SELECT m.tenant_id, $6::uuid, {{key}}, 'member.invite', $7, json_build_object('member', m.id, 'role', m.role)::jsonb FROM m
)
SELECT {{member_document}} FROM m;

-- No row: no such member. false: his role or the wanted one is above the
-- caller's. The sessions' role goes with it.
-- name: member_update
-- params: id, role, name, audit_id, request_id
WITH found AS (
    SELECT m.tenant_id, m.id,
           array_position({{roles}}, m.role) <= array_position({{roles}}, current_setting('app.role', true))
           AND array_position({{roles}}, coalesce($2, m.role)) <= array_position({{roles}}, current_setting('app.role', true)) AS allowed
      FROM members m
     WHERE m.tenant_id = {{tenant}} AND m.id = $1::uuid
), m AS (
    UPDATE members x
       SET role = coalesce($2, x.role), name = coalesce($3, x.name)
      FROM found
     WHERE x.tenant_id = found.tenant_id AND x.id = found.id AND found.allowed
    RETURNING x.tenant_id, x.id, x.email, x.name, x.role, x.totp_enabled, x.password_hash, x.invite_expires_at, x.created_at
), s AS (
    UPDATE sessions y SET role = m.role
      FROM m WHERE y.tenant_id = m.tenant_id AND y.member_id = m.id
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, request_id, detail)
    SELECT m.tenant_id, $4::uuid, {{key}}, 'member.update', $5, json_build_object('member', m.id, 'role', m.role)::jsonb FROM m
)
SELECT found.allowed, CASE WHEN m.id IS NOT NULL THEN {{member_document}} END
  FROM found LEFT JOIN m ON true;

-- As member_update; the member's sessions end with him.
-- name: member_delete
-- params: id, audit_id, request_id
WITH found AS (
    SELECT m.tenant_id, m.id,
           array_position({{roles}}, m.role) <= array_position({{roles}}, current_setting('app.role', true)) AS allowed
      FROM members m
     WHERE m.tenant_id = {{tenant}} AND m.id = $1::uuid
), m AS (
    DELETE FROM members
     WHERE tenant_id = {{tenant}} AND id = $1::uuid
       AND EXISTS (SELECT 1 FROM found WHERE found.allowed)
    RETURNING tenant_id, id, email
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, request_id, detail)
    SELECT m.tenant_id, $2::uuid, {{key}}, 'member.delete', $3, json_build_object('member', m.id, 'email', m.email)::jsonb FROM m
)
SELECT found.allowed FROM found;

-- Who presents an invitation becomes its member, for this segment.
-- name: invite_proven
SELECT m.tenant_id, m.id,
       set_config('app.tenant_id', m.tenant_id::text, true),
       set_config('app.member_id', m.id::text, true),
       set_config('app.role', m.role, true)
  FROM members m
 WHERE m.invite_hash = nullif(current_setting('app.key_hash', true), '')
   AND m.invite_expires_at > now();

-- name: invite_accept
-- params: password_hash, name, audit_id, request_id
WITH m AS (
    UPDATE members
       SET password_hash = $1, name = coalesce($2, name), invite_hash = NULL, invite_expires_at = NULL
     WHERE tenant_id = {{tenant}} AND id = {{member}} AND invite_hash IS NOT NULL
    RETURNING tenant_id, id, email, name, role, totp_enabled, password_hash, invite_expires_at, created_at
), trail AS (
    INSERT INTO audit (tenant_id, id, action, request_id, detail)
    SELECT m.tenant_id, $3::uuid, 'member.accept', $4, json_build_object('member', m.id)::jsonb FROM m
)
SELECT {{member_document}} FROM m;

-- Who logs in names his address; rows of that address show, nothing else.
-- name: login_present
-- params: email, statement_timeout
-- read-only
SELECT set_config('app.login', lower($1), true),
       set_config('statement_timeout', $2, true);

-- name: login_find
-- params: tenant
-- read-only
SELECT m.id, m.password_hash, CASE WHEN m.totp_enabled THEN m.totp_secret ELSE '' END
  FROM members m
 WHERE m.email = nullif(current_setting('app.login', true), '')
   AND m.password_hash IS NOT NULL
   AND ($1 = '' OR m.tenant_id = nullif($1, '')::uuid)
 ORDER BY m.created_at, m.id
 LIMIT 4;

-- The hash that the password was checked against proves it; one that has
-- changed meanwhile proves nothing.
-- name: login_proven
-- params: member_id, password_hash
-- read-only
SELECT m.tenant_id, m.id,
       set_config('app.tenant_id', m.tenant_id::text, true),
       set_config('app.member_id', m.id::text, true),
       set_config('app.role', m.role, true)
  FROM members m
 WHERE m.email = nullif(current_setting('app.login', true), '')
   AND m.id = $1::uuid AND m.password_hash = $2;

-- A session of twelve hours. No row: the one-time code was used before. What
-- has expired goes at this occasion.
-- name: session_create
-- params: id, token_hash, totp_step, address, agent, audit_id, request_id
WITH m AS (
    UPDATE members
       SET totp_step = greatest(totp_step, $3::bigint)
     WHERE tenant_id = {{tenant}} AND id = {{member}}
       AND (NOT totp_enabled OR totp_step < $3::bigint)
    RETURNING tenant_id, id, email, name, role, totp_enabled
), old AS (
    DELETE FROM sessions WHERE tenant_id = {{tenant}} AND member_id = {{member}} AND expires_at < now()
), s AS (
    INSERT INTO sessions (tenant_id, id, member_id, token_hash, role, address, agent, expires_at)
    SELECT m.tenant_id, $1::uuid, m.id, $2, m.role, $4, $5, now() + interval '12 hours' FROM m
    RETURNING id, expires_at
), trail AS (
    INSERT INTO audit (tenant_id, id, action, request_id, detail)
    SELECT m.tenant_id, $6::uuid, 'session.create', $7, json_build_object('session', $1::text, 'address', $4::text)::jsonb FROM m
)
SELECT s.id, to_json(s.expires_at), json_build_object('id', m.id, 'email', m.email, 'name', m.name, 'role', m.role, 'tenant', m.tenant_id)
  FROM s, m;

-- A member's own; who may manage members sees everybody's.
-- name: session_list
-- params: limit, after
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT s.id, row_number() OVER w AS n, lead(s.id) OVER w IS NOT NULL AS more,
               json_build_object('id', s.id, 'member', s.member_id, 'role', s.role, 'address', s.address, 'agent', s.agent,
                                 'current', s.id::text = current_setting('app.session_id', true),
                                 'createdAt', s.created_at, 'expiresAt', s.expires_at) AS document
          FROM sessions s
         WHERE s.tenant_id = {{tenant}} AND s.expires_at > now()
           AND (s.member_id = {{member}}
                OR array_position({{roles}}, current_setting('app.role', true)) >= array_position({{roles}}, 'admin'))
           AND s.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
        WINDOW w AS (ORDER BY s.id)
         ORDER BY s.id
         LIMIT $1::bigint + 1) page;

-- "current" is the session that asks.
-- name: session_delete
-- params: id, audit_id, request_id
WITH s AS (
    DELETE FROM sessions
     WHERE tenant_id = {{tenant}}
       AND id::text = CASE WHEN $1 = 'current' THEN current_setting('app.session_id', true) ELSE $1 END
       AND (member_id = {{member}}
            OR array_position({{roles}}, current_setting('app.role', true)) >= array_position({{roles}}, 'admin'))
    RETURNING tenant_id, id, member_id
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, request_id, detail)
    SELECT s.tenant_id, $2::uuid, {{key}}, 'session.delete', $3, json_build_object('session', s.id, 'member', s.member_id)::jsonb FROM s
)
SELECT s.id FROM s;

-- What a change of one's own credentials is checked against.
-- name: member_secrets
-- read-only
SELECT m.email, m.password_hash, coalesce(m.totp_secret, ''), m.totp_enabled
  FROM members m
 WHERE m.tenant_id = {{tenant}} AND m.id = {{member}};

-- The other sessions end with the old password.
-- name: member_password
-- params: old_hash, new_hash, audit_id, request_id
WITH m AS (
    UPDATE members SET password_hash = $2
     WHERE tenant_id = {{tenant}} AND id = {{member}} AND password_hash = $1
    RETURNING tenant_id, id
), s AS (
    DELETE FROM sessions y USING m
     WHERE y.tenant_id = m.tenant_id AND y.member_id = m.id
       AND y.id::text <> current_setting('app.session_id', true)
), trail AS (
    INSERT INTO audit (tenant_id, id, action, request_id)
    SELECT m.tenant_id, $3::uuid, 'member.password', $4 FROM m
)
SELECT m.id FROM m;

-- A second factor that is in use is not replaced.
-- name: totp_begin
-- params: secret
WITH m AS (
    UPDATE members SET totp_secret = $1, totp_step = 0
     WHERE tenant_id = {{tenant}} AND id = {{member}} AND NOT totp_enabled
    RETURNING email
)
SELECT m.email FROM m;

-- Turned on (or off) with a code that was not used before.
-- name: totp_set
-- params: enabled, step, audit_id, request_id
WITH m AS (
    UPDATE members
       SET totp_enabled = $1::boolean, totp_step = $2::bigint,
           totp_secret = CASE WHEN $1::boolean THEN totp_secret END
     WHERE tenant_id = {{tenant}} AND id = {{member}} AND totp_secret IS NOT NULL
       AND totp_enabled <> $1::boolean AND totp_step < $2::bigint
    RETURNING tenant_id, id
), trail AS (
    INSERT INTO audit (tenant_id, id, action, request_id)
    SELECT m.tenant_id, $3::uuid, CASE WHEN $1::boolean THEN 'totp.enable' ELSE 'totp.disable' END, $4 FROM m
)
SELECT m.id FROM m;


-- == Tickets for sockets ==

-- What nobody used goes at this occasion.
-- name: ticket_create
-- params: id, ticket_hash, kind, credential_hash, origin
WITH old AS (
    DELETE FROM ws_tickets WHERE tenant_id = {{tenant}} AND expires_at < now()
)
INSERT INTO ws_tickets (tenant_id, id, ticket_hash, kind, credential_hash, origin, expires_at)
SELECT {{tenant}}, $1::uuid, $2, $3, $4, $5, now() + interval '30 seconds'
 WHERE {{tenant}} IS NOT NULL
RETURNING to_json(expires_at);

-- Gone with its first use, whatever comes of it.
-- name: ticket_take
-- params: origin
DELETE FROM ws_tickets
 WHERE ticket_hash = nullif(current_setting('app.key_hash', true), '')
RETURNING kind, credential_hash, expires_at > now() AND (origin = '' OR origin = $1);


-- == The platform's side, on its own pool ==

-- t is a tenant, u its use.
-- fragment: tenant_document
json_build_object(
    'id', t.tenant_id, 'name', t.name, 'createdAt', t.created_at, 'updatedAt', t.updated_at,
    'suspended', t.suspended_at IS NOT NULL, 'suspendedAt', t.suspended_at,
    'suspendedReason', nullif(t.suspended_reason, ''),
    'quota', json_build_object('servers', t.max_servers, 'memoryBytes', t.max_memory, 'cpuMillis', t.max_cpu,
                               'storageBytes', t.max_storage, 'sockets', t.max_sockets, 'keys', t.max_keys,
                               'requestsPerMinute', t.requests_per_minute),
    'use', json_build_object('servers', u.servers, 'memoryBytes', u.memory, 'cpuMillis', u.cpu,
                             'storageBytes', u.storage, 'keys', u.keys))

-- name: tenant_list
-- params: limit, after, search
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.tenant_id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.tenant_id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT t.tenant_id, row_number() OVER w AS n, lead(t.tenant_id) OVER w IS NOT NULL AS more,
               {{tenant_document}} AS document
          FROM tenants t
          JOIN tenant_usage u ON u.tenant_id = t.tenant_id
         WHERE t.deleted_at IS NULL
           AND t.tenant_id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
           AND ($3 = '' OR left(lower(t.name), length($3)) = lower($3))
        WINDOW w AS (ORDER BY t.tenant_id)
         ORDER BY t.tenant_id
         LIMIT $1::bigint + 1) page;

-- name: tenant_get
-- params: id
-- read-only
SELECT {{tenant_document}}
  FROM tenants t
  JOIN tenant_usage u ON u.tenant_id = t.tenant_id
 WHERE t.tenant_id = $1::uuid AND t.deleted_at IS NULL;

-- With an owner's key, by which its people come in.
-- name: tenant_create
-- params: id, name, quota, key_id, key_hash, audit_id, request_id
WITH t AS (
    INSERT INTO tenants (tenant_id, name, max_servers, max_memory, max_cpu, max_storage, max_sockets, max_keys, requests_per_minute)
    SELECT $1::uuid, $2, coalesce((q.quota ->> 'servers')::bigint, 10), coalesce((q.quota ->> 'memoryBytes')::bigint, 1099511627776),
           coalesce((q.quota ->> 'cpuMillis')::bigint, 512000), coalesce((q.quota ->> 'storageBytes')::bigint, 17592186044416),
           coalesce((q.quota ->> 'sockets')::bigint, 10000), coalesce((q.quota ->> 'keys')::bigint, 100),
           coalesce((q.quota ->> 'requestsPerMinute')::bigint, 0)
      FROM (SELECT $3::jsonb AS quota) q
     WHERE nullif(current_setting('app.platform_key', true), '') IS NOT NULL
    RETURNING *
), u AS (
    INSERT INTO tenant_usage (tenant_id, keys) SELECT t.tenant_id, 1 FROM t
    RETURNING *
), k AS (
    INSERT INTO api_keys (tenant_id, id, name, key_hash, role)
    SELECT t.tenant_id, $4::uuid, 'first', $5, 'owner' FROM t
), trail AS (
    INSERT INTO platform_audit (id, key_id, action, about, request_id, detail)
    SELECT $6::uuid, nullif(current_setting('app.platform_key', true), '')::uuid, 'tenant.create', t.tenant_id, $7,
           json_build_object('name', t.name)::jsonb FROM t
)
SELECT {{tenant_document}} FROM t, u;

-- NULL leaves a value as it is.
-- name: tenant_update
-- params: id, name, quota, suspended, reason, audit_id, request_id
WITH t AS (
    UPDATE tenants x
       SET name = coalesce($2, x.name),
           max_servers = coalesce((q.quota ->> 'servers')::bigint, x.max_servers),
           max_memory = coalesce((q.quota ->> 'memoryBytes')::bigint, x.max_memory),
           max_cpu = coalesce((q.quota ->> 'cpuMillis')::bigint, x.max_cpu),
           max_storage = coalesce((q.quota ->> 'storageBytes')::bigint, x.max_storage),
           max_sockets = coalesce((q.quota ->> 'sockets')::bigint, x.max_sockets),
           max_keys = coalesce((q.quota ->> 'keys')::bigint, x.max_keys),
           requests_per_minute = coalesce((q.quota ->> 'requestsPerMinute')::bigint, x.requests_per_minute),
           suspended_at = CASE WHEN $4::boolean IS NULL THEN x.suspended_at
                               WHEN $4::boolean THEN coalesce(x.suspended_at, now()) END,
           suspended_reason = CASE WHEN $4::boolean IS FALSE THEN '' ELSE coalesce($5, x.suspended_reason) END,
           updated_at = now()
      FROM (SELECT $3::jsonb AS quota) q
     WHERE x.tenant_id = $1::uuid AND x.deleted_at IS NULL
    RETURNING x.*
), trail AS (
    INSERT INTO platform_audit (id, key_id, action, about, request_id, detail)
    SELECT $6::uuid, nullif(current_setting('app.platform_key', true), '')::uuid, 'tenant.update', t.tenant_id, $7,
           json_build_object('quota', $3::jsonb, 'suspended', $4::boolean)::jsonb FROM t
)
SELECT {{tenant_document}}
  FROM t
  JOIN tenant_usage u ON u.tenant_id = t.tenant_id;

-- No row: no such tenant. false: it still has servers. Its rows stay, its keys
-- and members go: nobody can enter any more.
-- name: tenant_delete
-- params: id, audit_id, request_id
WITH found AS (
    SELECT t.tenant_id, u.servers = 0 AS empty
      FROM tenants t
      JOIN tenant_usage u ON u.tenant_id = t.tenant_id
     WHERE t.tenant_id = $1::uuid AND t.deleted_at IS NULL
       FOR UPDATE OF u
), t AS (
    UPDATE tenants x
       SET deleted_at = now(), suspended_at = coalesce(x.suspended_at, now()), updated_at = now()
      FROM found
     WHERE x.tenant_id = found.tenant_id AND found.empty
    RETURNING x.tenant_id
), k AS (
    DELETE FROM api_keys y USING t WHERE y.tenant_id = t.tenant_id
), m AS (
    DELETE FROM members y USING t WHERE y.tenant_id = t.tenant_id
), trail AS (
    INSERT INTO platform_audit (id, key_id, action, about, request_id)
    SELECT $2::uuid, nullif(current_setting('app.platform_key', true), '')::uuid, 'tenant.delete', t.tenant_id, $3 FROM t
)
SELECT found.empty FROM found;

-- fragment: platform_key_document
json_build_object('id', k.id, 'name', k.name, 'prefix', 'mcp_' || replace(k.id::text, '-', ''),
                  'createdAt', k.created_at, 'expiresAt', k.expires_at)

-- name: platform_key_list
-- params: limit, after
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT k.id, row_number() OVER w AS n, lead(k.id) OVER w IS NOT NULL AS more,
               {{platform_key_document}} AS document
          FROM platform_keys k
         WHERE k.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
        WINDOW w AS (ORDER BY k.id)
         ORDER BY k.id
         LIMIT $1::bigint + 1) page;

-- name: platform_key_create
-- params: id, name, key_hash, expires_at, audit_id, request_id
WITH k AS (
    INSERT INTO platform_keys (id, name, key_hash, expires_at)
    SELECT $1::uuid, $2, $3, $4::timestamptz
     WHERE nullif(current_setting('app.platform_key', true), '') IS NOT NULL
    RETURNING *
), trail AS (
    INSERT INTO platform_audit (id, key_id, action, request_id, detail)
    SELECT $5::uuid, nullif(current_setting('app.platform_key', true), '')::uuid, 'key.create', $6,
           json_build_object('key', k.id, 'name', k.name)::jsonb FROM k
)
SELECT {{platform_key_document}} FROM k;

-- name: platform_key_delete
-- params: id, audit_id, request_id
WITH k AS (
    DELETE FROM platform_keys WHERE id = $1::uuid
    RETURNING id, name
), trail AS (
    INSERT INTO platform_audit (id, key_id, action, request_id, detail)
    SELECT $2::uuid, nullif(current_setting('app.platform_key', true), '')::uuid, 'key.delete', $3,
           json_build_object('key', k.id, 'name', k.name)::jsonb FROM k
)
SELECT k.id FROM k;

-- name: platform_stats
-- read-only
SELECT count(*), count(*) FILTER (WHERE t.suspended_at IS NOT NULL),
       coalesce(sum(u.servers), 0)::bigint, coalesce(sum(u.memory), 0)::bigint,
       coalesce(sum(u.cpu), 0)::bigint, coalesce(sum(u.storage), 0)::bigint
  FROM tenants t
  JOIN tenant_usage u ON u.tenant_id = t.tenant_id
 WHERE t.deleted_at IS NULL;
