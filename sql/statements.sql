-- Every SQL statement of both programs, by name. tools/sql2c.awk compiles
-- this file into the statement table (common/mc_sql.h).
--
--   -- fragment: NAME     text that statements include as {{NAME}}
--   -- name: NAME         begins a statement; it ends at a line ending in ";"
--   -- params: a, b       what $1, $2 … are (all sent as text)
--   -- read-only          safe to send again when a connection was lost
--
-- The tenant is never a parameter of an API statement: it is what
-- `authenticate` found for the presented key, transaction-local.

-- fragment: tenant
nullif(current_setting('app.tenant_id', true), '')::uuid

-- fragment: key
nullif(current_setting('app.key_id', true), '')::uuid

-- What a statement behind idempotency_claim has done is kept in the same
-- transaction: a is its one row.
-- fragment: remember
set_config('app.answer', row_to_json(a)::text, true)

-- fragment: member
nullif(current_setting('app.member_id', true), '')::uuid

-- From the least to the most.
-- fragment: roles
ARRAY['viewer', 'operator', 'admin', 'owner']

-- The document of contract "server": s is a servers row, st its status.
-- fragment: document
json_build_object(
    'id', s.id, 'tenantId', s.tenant_id, 'name', s.name,
    'generation', s.generation,
    'createdAt', s.created_at, 'updatedAt', s.updated_at,
    'deletedAt', s.deleted_at, 'specOwner', s.spec_owner, 'spec', s.spec,
    'status', coalesce(st.status, '{"state": "Pending"}'::jsonb))


-- == Every API segment begins with these two ==

-- name: present_key
-- params: key_hash, statement_timeout
-- read-only
SELECT set_config('app.key_hash', $1, true),
       set_config('statement_timeout', $2, true);

-- One row for a live key, none for an unknown, expired or revoked one. The
-- tenant is set only when role and scope suffice: without it the statement
-- behind this one sees and writes nothing. Rows of other servers than the
-- key's own do not show after this.
-- name: authenticate
-- params: minimum_role, scope
-- read-only
SELECT k.tenant_id, k.id, k.role, k.name, to_json(k.expires_at) #>> '{}', a.allowed,
       set_config('app.tenant_id', CASE WHEN a.allowed THEN k.tenant_id::text ELSE '' END, true),
       set_config('app.key_id', k.id::text, true),
       set_config('app.role', k.role, true),
       set_config('app.servers', coalesce(k.servers::text, ''), true)
  FROM api_keys k,
       LATERAL (SELECT array_position({{roles}}, k.role) >= array_position({{roles}}, $1)
                   AND ($2 = '' OR k.scopes IS NULL OR $2 = ANY (k.scopes)) AS allowed) a
 WHERE k.key_hash = nullif(current_setting('app.key_hash', true), '')
   AND k.revoked_at IS NULL
   AND (k.expires_at IS NULL OR k.expires_at > now());

-- The same for the session of a member, who has every scope of his role.
-- name: authenticate_session
-- params: minimum_role, scope
-- read-only
SELECT s.tenant_id, s.id, s.role, s.member_id, to_json(s.expires_at) #>> '{}', a.allowed,
       set_config('app.tenant_id', CASE WHEN a.allowed THEN s.tenant_id::text ELSE '' END, true),
       set_config('app.member_id', s.member_id::text, true),
       set_config('app.session_id', s.id::text, true),
       set_config('app.role', s.role, true)
  FROM sessions s,
       LATERAL (SELECT array_position({{roles}}, s.role) >= array_position({{roles}}, $1)
                   AND $2::text IS NOT NULL AS allowed) a
 WHERE s.token_hash = nullif(current_setting('app.key_hash', true), '')
   AND s.expires_at > now();

-- The same for an operator of the platform, on its own pool.
-- name: authenticate_platform
-- params: minimum_role, scope
-- read-only
SELECT '', k.id, 'platform', k.name, to_json(k.expires_at) #>> '{}', true,
       set_config('app.platform_key', k.id::text, true)
  FROM platform_keys k
 WHERE k.key_hash = nullif(current_setting('app.key_hash', true), '')
   AND (k.expires_at IS NULL OR k.expires_at > now())
   AND $1::text = '' AND $2::text = '';

-- Behind authenticate in every segment that writes, and now and then in one
-- that reads: is the tenant suspended, what may it use. A writer of a
-- suspended tenant loses the tenant, so that the next statement does nothing.
-- name: tenant_gate
-- params: writes
-- read-only
SELECT t.suspended_at IS NOT NULL AS suspended, t.requests_per_minute, t.max_sockets, t.suspended_reason,
       set_config('app.tenant_id', CASE WHEN t.suspended_at IS NOT NULL AND $1::boolean THEN '' ELSE t.tenant_id::text END, true)
  FROM tenants t
 WHERE t.tenant_id = {{tenant}};


-- == API: one JSON text per reply ==

-- name: ping
-- read-only
SELECT 1;

-- name: me
-- read-only
SELECT json_strip_nulls(json_build_object(
           'tenant', json_build_object('id', t.tenant_id, 'name', t.name, 'suspendedAt', t.suspended_at)))::jsonb
       || CASE WHEN k.id IS NOT NULL THEN json_build_object('key', json_build_object(
              'id', k.id, 'name', k.name, 'role', k.role, 'scopes', k.scopes, 'servers', k.servers,
              'createdAt', k.created_at, 'expiresAt', k.expires_at))::jsonb ELSE '{}'::jsonb END
       || CASE WHEN m.id IS NOT NULL THEN json_build_object('member', json_build_object(
              'id', m.id, 'email', m.email, 'name', m.name, 'role', m.role, 'totp', m.totp_enabled))::jsonb ELSE '{}'::jsonb END
  FROM tenants t
  LEFT JOIN api_keys k ON k.tenant_id = t.tenant_id AND k.id = {{key}}
  LEFT JOIN members m ON m.tenant_id = t.tenant_id AND m.id = {{member}}
 WHERE t.tenant_id = {{tenant}};

-- name: quota
-- read-only
SELECT json_build_object('servers', t.max_servers, 'memoryBytes', t.max_memory, 'cpuMillis', t.max_cpu,
                         'storageBytes', t.max_storage, 'sockets', t.max_sockets, 'keys', t.max_keys,
                         'requestsPerMinute', nullif(t.requests_per_minute, 0)) AS limits,
       json_build_object('servers', u.servers, 'memoryBytes', u.memory, 'cpuMillis', u.cpu,
                         'storageBytes', u.storage, 'keys', u.keys) AS used
  FROM tenants t
  JOIN tenant_usage u ON u.tenant_id = t.tenant_id
 WHERE t.tenant_id = {{tenant}};

-- k is an api_keys row, u its use.
-- fragment: key_document
json_build_object(
    'id', k.id, 'name', k.name, 'prefix', 'mch_' || replace(k.id::text, '-', ''),
    'role', k.role, 'scopes', k.scopes, 'servers', k.servers,
    'createdAt', k.created_at, 'expiresAt', k.expires_at, 'lastUsedAt', u.used_at)

-- A search finds the beginning of a name or of a key.
-- name: key_list
-- params: limit, after, search
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT k.id, row_number() OVER w AS n, lead(k.id) OVER w IS NOT NULL AS more,
               {{key_document}} AS document
          FROM api_keys k
          LEFT JOIN key_use u ON u.tenant_id = k.tenant_id AND u.key_id = k.id
         WHERE k.tenant_id = {{tenant}}
           AND k.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
           AND k.revoked_at IS NULL
           AND ($3 = '' OR left(lower(k.name), length($3)) = lower($3)
                OR left('mch_' || replace(k.id::text, '-', ''), length($3)) = $3)
        WINDOW w AS (ORDER BY k.id)
         ORDER BY k.id
         LIMIT $1::bigint + 1) page;

-- name: key_get
-- params: id
-- read-only
SELECT {{key_document}}
  FROM api_keys k
  LEFT JOIN key_use u ON u.tenant_id = k.tenant_id AND u.key_id = k.id
 WHERE k.tenant_id = {{tenant}} AND k.id = $1::uuid AND k.revoked_at IS NULL;

-- Nobody gives more than he has: refused names what would be more, or a
-- server that is not there, or the quota. Nothing is made then.
-- name: key_create
-- params: id, name, key_hash, role, scopes, servers, expires_at, audit_id, request_id
WITH checked AS (
    SELECT concat_ws(',',
               CASE WHEN array_position({{roles}}, $4) > array_position({{roles}}, current_setting('app.role', true)) THEN 'role' END,
               CASE WHEN EXISTS (SELECT 1 FROM api_keys own
                                  WHERE own.tenant_id = {{tenant}} AND own.id = {{key}} AND own.scopes IS NOT NULL
                                    AND ($5::text[] IS NULL OR NOT $5::text[] <@ own.scopes)) THEN 'scopes' END,
               CASE WHEN ($6::uuid[] IS NULL AND nullif(current_setting('app.servers', true), '') IS NOT NULL)
                      OR (SELECT count(*) FROM servers s WHERE s.tenant_id = {{tenant}} AND s.id = ANY ($6::uuid[]))
                         <> (SELECT count(DISTINCT w.id) FROM unnest($6::uuid[]) AS w (id)) THEN 'servers' END) AS refused
), quota AS (
    UPDATE tenant_usage u
       SET keys = u.keys + 1
      FROM tenants t, checked
     WHERE u.tenant_id = {{tenant}} AND t.tenant_id = u.tenant_id
       AND checked.refused = '' AND u.keys < t.max_keys
    RETURNING u.tenant_id
), k AS (
    INSERT INTO api_keys (tenant_id, id, name, key_hash, role, scopes, servers, expires_at)
    SELECT quota.tenant_id, $1::uuid, $2, $3, $4, $5::text[], $6::uuid[], $7::timestamptz FROM quota
    RETURNING tenant_id, id, name, role, scopes, servers, created_at, expires_at
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, request_id, detail)
    SELECT k.tenant_id, $8::uuid, {{key}}, 'key.create', $9,
           json_build_object('key', k.id, 'name', k.name, 'role', k.role)::jsonb FROM k
)
SELECT CASE WHEN k.id IS NOT NULL THEN '' WHEN checked.refused <> '' THEN checked.refused ELSE 'quota' END,
       CASE WHEN k.id IS NOT NULL THEN {{key_document}} END
  FROM checked
  LEFT JOIN k ON true
  LEFT JOIN (SELECT NULL::timestamptz AS used_at) u ON true;

-- No row: no such key. false: its role is above the caller's.
-- name: key_delete
-- params: id, audit_id, request_id
WITH found AS (
    SELECT k.tenant_id, k.id, k.name,
           array_position({{roles}}, k.role) <= array_position({{roles}}, current_setting('app.role', true)) AS allowed
      FROM api_keys k
     WHERE k.tenant_id = {{tenant}} AND k.id = $1::uuid AND k.revoked_at IS NULL
), k AS (
    DELETE FROM api_keys
     WHERE tenant_id = {{tenant}} AND id = $1::uuid
       AND EXISTS (SELECT 1 FROM found WHERE found.allowed)
    RETURNING tenant_id, id, name
), used AS (
    DELETE FROM key_use
     WHERE tenant_id = {{tenant}} AND key_id = $1::uuid
       AND EXISTS (SELECT 1 FROM found WHERE found.allowed)
), quota AS (
    UPDATE tenant_usage u SET keys = u.keys - 1
      FROM k WHERE u.tenant_id = k.tenant_id AND u.keys > 0
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, request_id, detail)
    SELECT k.tenant_id, $2::uuid, {{key}}, 'key.delete', $3, json_build_object('key', k.id, 'name', k.name)::jsonb FROM k
)
SELECT found.allowed FROM found;

-- In a segment of its own, at most once a minute for a key.
-- name: key_touch
INSERT INTO key_use (tenant_id, key_id, used_at)
SELECT {{tenant}}, {{key}}, now() WHERE {{tenant}} IS NOT NULL AND {{key}} IS NOT NULL
ON CONFLICT (tenant_id, key_id) DO UPDATE SET used_at = excluded.used_at;

-- name: server_list
-- params: limit, after
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT s.id, row_number() OVER w AS n, lead(s.id) OVER w IS NOT NULL AS more,
               {{document}} AS document
          FROM servers s
          LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
         WHERE s.tenant_id = {{tenant}}
           AND s.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
           AND (s.deleted_at IS NULL OR st.finalized_at IS NULL)
        WINDOW w AS (ORDER BY s.id)
         ORDER BY s.id
         LIMIT $1::bigint + 1) page;

-- name: server_get
-- params: id
-- read-only
SELECT s.generation, {{document}}, s.spec, s.name, s.deleted_at IS NOT NULL, s.spec_owner
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}}
   AND s.id = $1::uuid
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL);

-- The quotas that a server of $6 bytes of memory, $7 thousandths of a core
-- and $8 bytes of storage would break.
-- fragment: broken_quotas
concat_ws(',', CASE WHEN u.memory + $6::bigint - o.memory > t.max_memory AND $6::bigint > o.memory THEN 'memory' END,
               CASE WHEN u.cpu + $7::bigint - o.cpu > t.max_cpu AND $7::bigint > o.cpu THEN 'cpu' END,
               CASE WHEN u.storage + $8::bigint - o.storage > t.max_storage AND $8::bigint > o.storage THEN 'storage' END)

-- No generation: a quota of the tenant is used up, the last column says which.
-- The usage's row lock makes the limits hold however many creates run at once.
-- name: server_create
-- params: id, name, spec, audit_id, request_id, memory, cpu, storage
WITH o AS (
    SELECT 0::bigint AS memory, 0::bigint AS cpu, 0::bigint AS storage
), quota AS (
    UPDATE tenant_usage u
       SET servers = u.servers + 1, memory = u.memory + $6::bigint,
           cpu = u.cpu + $7::bigint, storage = u.storage + $8::bigint
      FROM tenants t, o
     WHERE u.tenant_id = {{tenant}}
       AND t.tenant_id = u.tenant_id
       AND u.servers < t.max_servers
       AND {{broken_quotas}} = ''
    RETURNING u.tenant_id
), s AS (
    INSERT INTO servers (tenant_id, id, name, spec, memory, cpu, storage)
    SELECT quota.tenant_id, $1::uuid, $2, $3::jsonb, $6::bigint, $7::bigint, $8::bigint FROM quota
    RETURNING *
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $4::uuid, {{key}}, 'server.create', s.id, $5, json_build_object('name', s.name)::jsonb FROM s
    RETURNING id
), a AS (
    SELECT s.generation, CASE WHEN s.id IS NOT NULL THEN {{document}} END AS document, s.id,
           concat_ws(',', CASE WHEN u.servers >= t.max_servers THEN 'servers' END, nullif({{broken_quotas}}, '')) AS broken
      FROM o
      JOIN tenants t ON t.tenant_id = {{tenant}}
      JOIN tenant_usage u ON u.tenant_id = t.tenant_id
      LEFT JOIN s ON true
      LEFT JOIN trail ON true
      LEFT JOIN (SELECT NULL::jsonb AS status) st ON true
)
SELECT a.generation, a.document, a.id, a.broken, CASE WHEN a.id IS NOT NULL THEN {{remember}} END FROM a;

-- The whole spec, guarded by the generation that it was made from. No row:
-- the server is gone or another write came first. No generation: a quota would
-- be broken. The server's row is locked before the usage's.
-- name: server_update
-- params: id, generation, spec, audit_id, request_id, memory, cpu, storage
WITH o AS (
    SELECT tenant_id, id, memory, cpu, storage FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid
       AND generation = $2::bigint AND deleted_at IS NULL
       FOR UPDATE
), quota AS (
    UPDATE tenant_usage u
       SET memory = greatest(u.memory + $6::bigint - o.memory, 0),
           cpu = greatest(u.cpu + $7::bigint - o.cpu, 0),
           storage = greatest(u.storage + $8::bigint - o.storage, 0)
      FROM tenants t, o
     WHERE u.tenant_id = o.tenant_id
       AND t.tenant_id = u.tenant_id
       AND {{broken_quotas}} = ''
    RETURNING u.tenant_id
), s AS (
    UPDATE servers x
       SET spec = $3::jsonb, generation = x.generation + 1, updated_at = now(),
           memory = $6::bigint, cpu = $7::bigint, storage = $8::bigint
      FROM quota
     WHERE x.tenant_id = quota.tenant_id AND x.id = $1::uuid
    RETURNING x.*
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $4::uuid, {{key}}, 'server.update', s.id, $5, json_build_object('generation', s.generation)::jsonb FROM s
    RETURNING id
)
SELECT s.generation, CASE WHEN s.id IS NOT NULL THEN {{document}} END, {{broken_quotas}}
  FROM o
  JOIN tenants t ON t.tenant_id = o.tenant_id
  JOIN tenant_usage u ON u.tenant_id = o.tenant_id
  LEFT JOIN s ON true
  LEFT JOIN trail ON true
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id;

-- No row: no such server. deleted false: If-Match did not match.
-- name: server_delete
-- params: id, if_match_generation, purge, audit_id, request_id
WITH found AS (
    SELECT tenant_id, id, generation FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
), s AS (
    UPDATE servers
       SET deleted_at = now(), updated_at = now(), generation = generation + 1, purge = $3::boolean
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
       AND (nullif($2, '') IS NULL OR generation = nullif($2, '')::bigint)
    RETURNING *
), quota AS (
    UPDATE tenant_usage u
       SET servers = u.servers - 1, memory = greatest(u.memory - s.memory, 0),
           cpu = greatest(u.cpu - s.cpu, 0), storage = greatest(u.storage - s.storage, 0)
      FROM s WHERE u.tenant_id = s.tenant_id AND u.servers > 0
    RETURNING u.tenant_id
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $4::uuid, {{key}}, 'server.delete', s.id, $5, json_build_object('purge', s.purge, 'generation', s.generation)::jsonb FROM s
    RETURNING id
)
SELECT found.generation, s.id IS NOT NULL AS deleted,
       CASE WHEN s.id IS NOT NULL THEN {{document}} END
  FROM found
  LEFT JOIN s ON s.tenant_id = found.tenant_id AND s.id = found.id
  LEFT JOIN trail ON true
  LEFT JOIN server_status st ON st.tenant_id = found.tenant_id AND st.server_id = found.id;

-- start, stop and restart are changes of the spec. No row: no such server.
-- done false: a stopped server cannot be restarted.
-- name: server_action
-- params: id, action, operation_id, request_id
WITH found AS (
    SELECT tenant_id, id FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
), s AS (
    UPDATE servers
       SET spec = CASE $2 WHEN 'start'   THEN jsonb_set(spec, '{runPolicy}', '"Always"')
                          WHEN 'stop'    THEN jsonb_set(spec, '{runPolicy}', '"Stopped"')
                          WHEN 'restart' THEN jsonb_set(spec, '{restartToken}', to_jsonb($3::text)) END,
           generation = generation + 1, updated_at = now()
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
       AND ($2 IN ('start', 'stop') OR ($2 = 'restart' AND spec ->> 'runPolicy' IS DISTINCT FROM 'Stopped'))
    RETURNING *
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $3::uuid, {{key}}, 'server.' || $2, s.id, $4, json_build_object('generation', s.generation)::jsonb FROM s
    RETURNING id, at
), a AS (
    SELECT s.id IS NOT NULL AS done,
           json_build_object('id', trail.id, 'server', s.id, 'action', $2, 'generation', s.generation,
                             'createdAt', trail.at, 'state', 'Pending') AS operation,
           trail.id
      FROM found
      LEFT JOIN s ON s.tenant_id = found.tenant_id AND s.id = found.id
      LEFT JOIN trail ON true
)
SELECT a.done, a.operation, a.id, CASE WHEN a.done THEN {{remember}} END FROM a;

-- Leaves the trail of a console command; no row: no such server.
-- name: server_console
-- params: id, command, audit_id, request_id
WITH a AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $3::uuid, {{key}}, 'server.console', s.id, $4, json_build_object('command', $2::text)::jsonb
      FROM servers s
     WHERE s.tenant_id = {{tenant}} AND s.id = $1::uuid AND s.deleted_at IS NULL
    RETURNING tenant_id, server_id
)
SELECT a.tenant_id, a.server_id, {{remember}} FROM a;

-- What a socket needs to begin: the servers it may see and their state. An
-- empty list of ids means all. The time is as JSON has it, RFC 3339.
-- name: server_snapshot
-- params: ids
-- read-only
SELECT s.id, coalesce(st.seq, 0) AS seq, to_json(coalesce(st.updated_at, s.created_at)) #>> '{}' AS time,
       coalesce(st.status, '{"state": "Pending"}'::jsonb) AS status
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}}
   AND ($1::uuid[] = '{}'::uuid[] OR s.id = ANY ($1::uuid[]))
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL)
 ORDER BY s.id
 LIMIT 10000;


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


-- == Reconciler ==

-- fragment: row
s.tenant_id, s.id, s.name, s.generation, s.spec_owner, s.spec,
       s.deleted_at IS NOT NULL AS deleted, s.purge,
       coalesce(st.observed_generation, 0) AS observed_generation,
       st.status, st.finalized_at IS NOT NULL AS finalized

-- name: reconciler_page
-- params: after_tenant, after_id, limit
-- read-only
SELECT {{row}}
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE (s.tenant_id, s.id) > ($1::uuid, $2::uuid)
   AND st.finalized_at IS NULL
 ORDER BY s.tenant_id, s.id
 LIMIT $3::bigint;

-- name: reconciler_dirty
-- params: limit
-- read-only
SELECT {{row}}
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.generation IS DISTINCT FROM st.observed_generation
   AND st.finalized_at IS NULL
 ORDER BY s.updated_at
 LIMIT $1::bigint;

-- name: reconciler_server
-- params: tenant_id, id
-- read-only
SELECT {{row}}
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = $1::uuid AND s.id = $2::uuid;

-- An older observation never replaces a newer one: no row then.
-- name: reconciler_status
-- params: tenant_id, server_id, observed_generation, status, finalized
INSERT INTO server_status AS st (tenant_id, server_id, observed_generation, status, finalized_at)
VALUES ($1::uuid, $2::uuid, $3::bigint, $4::jsonb, CASE WHEN $5::boolean THEN now() END)
ON CONFLICT (tenant_id, server_id) DO UPDATE
   SET observed_generation = excluded.observed_generation,
       status = excluded.status,
       seq = st.seq + 1,
       updated_at = now(),
       finalized_at = coalesce(st.finalized_at, excluded.finalized_at)
 WHERE st.observed_generation <= excluded.observed_generation
RETURNING seq, updated_at;
