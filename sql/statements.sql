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

-- start, stop and restart are changes of the spec; kill is a stop that does not
-- wait. No row: no such server.
-- done false: a stopped server cannot be restarted.
-- name: server_action
-- params: id, action, operation_id, request_id
WITH found AS (
    SELECT tenant_id, id FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
), s AS (
    UPDATE servers
       SET spec = CASE $2 WHEN 'start'   THEN jsonb_set(spec, '{runPolicy}', '"Always"')
                          WHEN 'restart' THEN jsonb_set(spec, '{restartToken}', to_jsonb($3::text))
                          ELSE jsonb_set(spec, '{runPolicy}', '"Stopped"') END,
           kill_generation = CASE WHEN $2 = 'kill' THEN generation + 1 END,
           generation = generation + 1, updated_at = now()
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
       AND ($2 IN ('start', 'stop', 'kill') OR ($2 = 'restart' AND spec ->> 'runPolicy' IS DISTINCT FROM 'Stopped'))
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


-- == Reconciler ==

-- fragment: row
s.tenant_id, s.id, s.name, s.generation, s.spec_owner, s.spec,
       s.deleted_at IS NOT NULL AS deleted, s.purge,
       coalesce(s.kill_generation = s.generation, false) AS kill,
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
