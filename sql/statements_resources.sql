-- Statements of the resources beside a server's own: see statements.sql for
-- how this file is written.

-- == Idempotency-Key ==

-- Behind authenticate. same: the request is the one that the key was used for.
-- answer: what that one did; then, and when it was another request, the
-- statement behind this one has no tenant and does nothing. A second request
-- of the same key waits here for the first one's end.
-- name: idempotency_claim
-- params: key, fingerprint
WITH claim AS (
    INSERT INTO idempotency_keys AS i (tenant_id, owner, key, fingerprint, expires_at)
    SELECT {{tenant}}, coalesce({{key}}, {{member}})::text, $1, $2, now() + interval '24 hours'
     WHERE {{tenant}} IS NOT NULL
    ON CONFLICT (tenant_id, owner, key) DO UPDATE
       SET fingerprint = CASE WHEN i.expires_at > now() THEN i.fingerprint ELSE excluded.fingerprint END,
           answer = CASE WHEN i.expires_at > now() THEN i.answer END,
           expires_at = CASE WHEN i.expires_at > now() THEN i.expires_at ELSE excluded.expires_at END
    RETURNING fingerprint, answer
)
SELECT claim.fingerprint = $2 AS same, claim.answer,
       set_config('app.tenant_id', CASE WHEN claim.fingerprint = $2 AND claim.answer IS NULL
                                        THEN {{tenant}}::text ELSE '' END, true)
  FROM claim;

-- Behind the statement; one that did nothing leaves no claim.
-- name: idempotency_keep
-- params: key
UPDATE idempotency_keys
   SET answer = nullif(current_setting('app.answer', true), ''),
       expires_at = CASE WHEN nullif(current_setting('app.answer', true), '') IS NULL THEN now() ELSE expires_at END
 WHERE tenant_id = {{tenant}} AND owner = coalesce({{key}}, {{member}})::text AND key = $1;

-- name: idempotency_prune
DELETE FROM idempotency_keys
 WHERE tenant_id = {{tenant}}
   AND (owner, key) IN (SELECT i.owner, i.key FROM idempotency_keys i
                         WHERE i.tenant_id = {{tenant}} AND i.expires_at < now()
                         ORDER BY i.expires_at LIMIT 20 FOR UPDATE SKIP LOCKED);


-- == Servers ==

-- A page of those in a state, or whose name or display name holds a text.
-- name: server_search
-- params: limit, after, state, text
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
           AND ($3 = '' OR coalesce(st.status ->> 'state', 'Pending') = $3)
           AND ($4 = '' OR position(lower($4) IN s.name) > 0
                OR position(lower($4) IN lower(coalesce(s.spec ->> 'displayName', ''))) > 0)
        WINDOW w AS (ORDER BY s.id)
         ORDER BY s.id
         LIMIT $1::bigint + 1) page;

-- No row: no such server.
-- name: server_exists
-- params: id
-- read-only
SELECT s.id
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}} AND s.id = $1::uuid
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL);


-- == Operations: what became of an action ==

-- An action has changed the spec, so its end is read off the status. Once
-- another action has followed, the status speaks of that one.
-- name: server_operation
-- params: id, operation
-- read-only
SELECT json_build_object(
           'id', o.id, 'server', o.server_id, 'action', substr(o.action, 8),
           'generation', (o.detail ->> 'generation')::bigint, 'createdAt', o.at,
           'state', CASE WHEN o.later THEN 'Superseded'
                         WHEN o.observed < (o.detail ->> 'generation')::bigint THEN 'Pending'
                         WHEN o.status ->> 'state' = 'Failed' THEN 'Failed'
                         WHEN o.progressing = 'False' THEN 'Succeeded'
                         ELSE 'Running' END,
           'message', CASE WHEN NOT o.later AND o.observed >= (o.detail ->> 'generation')::bigint
                           THEN o.status ->> 'message' END)
  FROM (SELECT t.id, t.server_id, t.action, t.at, t.detail, st.status,
               coalesce(st.observed_generation, 0) AS observed,
               (SELECT c.v ->> 'status' FROM jsonb_array_elements(st.status -> 'conditions') AS c(v)
                 WHERE c.v ->> 'type' = 'Progressing' LIMIT 1) AS progressing,
               EXISTS (SELECT 1 FROM audit l
                        WHERE l.tenant_id = t.tenant_id AND l.server_id = t.server_id
                          AND l.action IN ('server.start', 'server.stop', 'server.restart', 'server.kill', 'server.delete')
                          AND (l.detail ->> 'generation')::bigint > (t.detail ->> 'generation')::bigint) AS later
          FROM audit t
          LEFT JOIN server_status st ON st.tenant_id = t.tenant_id AND st.server_id = t.server_id
         WHERE t.tenant_id = {{tenant}} AND t.server_id = $1::uuid AND t.id = $2::uuid
           AND t.action IN ('server.start', 'server.stop', 'server.restart', 'server.kill')) o;


-- == Players and access lists ==

-- Who is there, as far as the status tells, and who may join.
-- fragment: players
json_build_object(
    'generation', s.generation,
    'online', st.status #> '{players,online}', 'max', st.status #> '{players,max}',
    'operators', coalesce(s.spec #> '{access,operators}', '[]'::jsonb),
    'allowList', json_build_object('enabled', coalesce(s.spec #> '{access,allowList,enabled}', 'false'::jsonb),
                                   'players', coalesce(s.spec #> '{access,allowList,players}', '[]'::jsonb)),
    'bans', json_build_object('players', coalesce(s.spec #> '{access,bans,players}', '[]'::jsonb),
                              'ips', coalesce(s.spec #> '{access,bans,ips}', '[]'::jsonb)))

-- name: server_players
-- params: id
-- read-only
SELECT {{players}}
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}} AND s.id = $1::uuid
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL);

-- found locks the row, so that its list is what the update writes over, however
-- many come at once.

-- Adds a player to a list (op, ban, allow), or takes one off, whatever the
-- case of the name. No row: no such server. done false: it belongs to
-- Kubernetes (owned), or the list is full (full). What is so already is no new
-- generation.
-- name: server_access
-- params: id, list, verb, player, audit_id, request_id
WITH found AS (
    SELECT tenant_id, id, generation, spec, spec_owner <> 'db' AS owned,
           CASE $2 WHEN 'op' THEN spec #> '{access,operators}'
                   WHEN 'ban' THEN spec #> '{access,bans,players}'
                   ELSE spec #> '{access,allowList,players}' END AS list
      FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
       FOR UPDATE
), others AS (
    SELECT f.tenant_id, f.id, f.generation, f.owned,
           coalesce(f.spec -> 'access', '{}'::jsonb) AS access,
           jsonb_array_length(coalesce(f.list, '[]'::jsonb)) AS length,
           (SELECT coalesce(jsonb_agg(e.v ORDER BY e.n), '[]'::jsonb)
              FROM jsonb_array_elements(coalesce(f.list, '[]'::jsonb)) WITH ORDINALITY AS e(v, n)
             WHERE lower(coalesce(e.v ->> 'name', e.v #>> '{}')) <> lower($4)) AS list
      FROM found f
), wanted AS (
    SELECT o.tenant_id, o.id, o.generation, o.owned, o.access,
           $3 = 'add' AND o.length >= CASE $2 WHEN 'op' THEN 256 ELSE 1000 END
               AND jsonb_array_length(o.list) = o.length AS full_up,
           CASE WHEN $3 = 'add' THEN jsonb_array_length(o.list) = o.length
                ELSE jsonb_array_length(o.list) < o.length END AS differs,
           CASE WHEN $3 = 'remove' THEN o.list
                WHEN $2 = 'op' THEN o.list || jsonb_build_array(jsonb_build_object('name', $4::text, 'level', 4))
                ELSE o.list || jsonb_build_array($4::text) END AS list
      FROM others o
), s AS (
    UPDATE servers
       SET spec = servers.spec || jsonb_build_object('access', w.access || CASE $2
               WHEN 'op' THEN jsonb_build_object('operators', w.list)
               WHEN 'ban' THEN jsonb_build_object('bans', coalesce(w.access -> 'bans', '{}'::jsonb)
                                                          || jsonb_build_object('players', w.list))
               ELSE jsonb_build_object('allowList', coalesce(w.access -> 'allowList', '{}'::jsonb)
                                                    || jsonb_build_object('players', w.list)) END),
           generation = servers.generation + CASE WHEN w.differs THEN 1 ELSE 0 END,
           updated_at = CASE WHEN w.differs THEN now() ELSE servers.updated_at END
      FROM wanted w
     WHERE servers.tenant_id = w.tenant_id AND servers.id = w.id
       AND servers.deleted_at IS NULL AND NOT w.owned AND NOT w.full_up
    RETURNING servers.*
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $5::uuid, {{key}}, 'server.' || $2, s.id, $6,
           json_build_object('player', $4::text, 'verb', $3::text, 'generation', s.generation)::jsonb FROM s
    RETURNING id
), a AS (
    SELECT s.id IS NOT NULL AS done, w.owned, w.full_up, CASE WHEN s.id IS NOT NULL THEN {{players}} END AS document,
           s.generation
      FROM wanted w
      LEFT JOIN s ON s.tenant_id = w.tenant_id AND s.id = w.id
      LEFT JOIN trail ON true
      LEFT JOIN server_status st ON st.tenant_id = w.tenant_id AND st.server_id = w.id
)
SELECT a.done, a.owned, a.full_up, a.document, a.generation, CASE WHEN a.done THEN {{remember}} END FROM a;


-- == Events and audit ==

-- name: event_list
-- params: limit, after, server
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT e.id, row_number() OVER w AS n, lead(e.id) OVER w IS NOT NULL AS more,
               json_build_object('id', e.id, 'server', e.server_id, 'time', e.at, 'type', e.type,
                                 'reason', e.reason, 'message', e.message) AS document
          FROM server_events e
         WHERE e.tenant_id = {{tenant}}
           AND e.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
           AND ($3 = '' OR e.server_id = nullif($3, '')::uuid)
        WINDOW w AS (ORDER BY e.id)
         ORDER BY e.id
         LIMIT $1::bigint + 1) page;

-- name: audit_list
-- params: limit, after, server
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT t.id, row_number() OVER w AS n, lead(t.id) OVER w IS NOT NULL AS more,
               json_build_object('id', t.id, 'time', t.at, 'action', t.action, 'key', t.key_id, 'member', t.member_id,
                                 'server', t.server_id, 'requestId', t.request_id, 'detail', t.detail) AS document
          FROM audit t
         WHERE t.tenant_id = {{tenant}}
           AND t.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
           AND ($3 = '' OR t.server_id = nullif($3, '')::uuid)
        WINDOW w AS (ORDER BY t.id)
         ORDER BY t.id
         LIMIT $1::bigint + 1) page;


-- == Add-ons: edits of spec.addons ==

-- name: addon_list
-- params: id
-- read-only
SELECT json_build_object('items', coalesce(s.spec -> 'addons', '[]'::jsonb), 'next', NULL)
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}} AND s.id = $1::uuid
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL);

-- name: addon_get
-- params: id, name
-- read-only
SELECT e.v
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id,
       LATERAL jsonb_array_elements(coalesce(s.spec -> 'addons', '[]'::jsonb)) AS e(v)
 WHERE s.tenant_id = {{tenant}} AND s.id = $1::uuid
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL)
   AND e.v ->> 'name' = $2;

-- No row: no such server. Else done, or why not: it belongs to Kubernetes,
-- there is one of that name, there are as many as may be.
-- name: addon_create
-- params: id, name, addon, audit_id, request_id
WITH found AS (
    SELECT tenant_id, id, generation, spec_owner <> 'db' AS owned, coalesce(spec -> 'addons', '[]'::jsonb) AS addons
      FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
       FOR UPDATE
), wanted AS (
    SELECT f.tenant_id, f.id, f.generation, f.owned, f.addons,
           jsonb_array_length(f.addons) >= 128 AS full_up,
           EXISTS (SELECT 1 FROM jsonb_array_elements(f.addons) AS e(v) WHERE e.v ->> 'name' = $2) AS taken
      FROM found f
), s AS (
    UPDATE servers
       SET spec = servers.spec || jsonb_build_object('addons', w.addons || jsonb_build_array($3::jsonb)),
           generation = servers.generation + 1, updated_at = now()
      FROM wanted w
     WHERE servers.tenant_id = w.tenant_id AND servers.id = w.id
       AND servers.deleted_at IS NULL AND NOT w.owned AND NOT w.full_up AND NOT w.taken
    RETURNING servers.tenant_id, servers.id, servers.generation
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $4::uuid, {{key}}, 'server.addon.create', s.id, $5,
           json_build_object('name', $2::text, 'generation', s.generation)::jsonb FROM s
    RETURNING id
), a AS (
    SELECT s.id IS NOT NULL AS done, w.owned, w.full_up, w.taken, $3::jsonb AS addon, $2::text AS name
      FROM wanted w
      LEFT JOIN s ON s.tenant_id = w.tenant_id AND s.id = w.id
      LEFT JOIN trail ON true
)
SELECT a.done, a.owned, a.full_up, a.taken, a.addon, a.name, CASE WHEN a.done THEN {{remember}} END FROM a;

-- No row: no such server, or none of that name.
-- name: addon_delete
-- params: id, name, audit_id, request_id
WITH found AS (
    SELECT tenant_id, id, generation, spec_owner <> 'db' AS owned, coalesce(spec -> 'addons', '[]'::jsonb) AS addons
      FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
       FOR UPDATE
), wanted AS (
    SELECT f.tenant_id, f.id, f.generation, f.owned,
           (SELECT coalesce(jsonb_agg(e.v ORDER BY e.n), '[]'::jsonb)
              FROM jsonb_array_elements(f.addons) WITH ORDINALITY AS e(v, n) WHERE e.v ->> 'name' <> $2) AS addons
      FROM found f
     WHERE EXISTS (SELECT 1 FROM jsonb_array_elements(f.addons) AS e(v) WHERE e.v ->> 'name' = $2)
), s AS (
    UPDATE servers
       SET spec = servers.spec || jsonb_build_object('addons', w.addons),
           generation = servers.generation + 1, updated_at = now()
      FROM wanted w
     WHERE servers.tenant_id = w.tenant_id AND servers.id = w.id
       AND servers.deleted_at IS NULL AND NOT w.owned
    RETURNING servers.tenant_id, servers.id, servers.generation
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $3::uuid, {{key}}, 'server.addon.delete', s.id, $4,
           json_build_object('name', $2::text, 'generation', s.generation)::jsonb FROM s
    RETURNING id
)
SELECT s.id IS NOT NULL AS done, w.owned
  FROM wanted w
  LEFT JOIN s ON s.tenant_id = w.tenant_id AND s.id = w.id
  LEFT JOIN trail ON true;


-- == Backups ==

-- fragment: backup
json_build_object('id', b.id, 'server', b.server_id, 'createdAt', b.created_at, 'finishedAt', b.finished_at,
                  'trigger', b.trigger, 'state', b.state, 'bytes', b.bytes, 'version', b.version,
                  'message', b.message)

-- No row: no such server.
-- name: backup_list
-- params: limit, after, id
-- read-only
WITH page AS (
    SELECT b.id, row_number() OVER w AS n, lead(b.id) OVER w IS NOT NULL AS more, {{backup}} AS document
      FROM server_backups b
     WHERE b.tenant_id = {{tenant}} AND b.server_id = $3::uuid
       AND b.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
    WINDOW w AS (ORDER BY b.id)
     ORDER BY b.id
     LIMIT $1::bigint + 1
)
SELECT json_build_object(
           'items', coalesce((SELECT json_agg(page.document ORDER BY page.id) FROM page WHERE page.n <= $1::bigint), '[]'::json),
           'next', (SELECT page.id::text FROM page WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT s.id
          FROM servers s
          LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
         WHERE s.tenant_id = {{tenant}} AND s.id = $3::uuid
           AND (s.deleted_at IS NULL OR st.finalized_at IS NULL)) s;

-- name: backup_get
-- params: id, backup
-- read-only
SELECT {{backup}}
  FROM server_backups b
 WHERE b.tenant_id = {{tenant}} AND b.server_id = $1::uuid AND b.id = $2::uuid;

-- One that is being made stays. No row: no such backup.
-- name: backup_delete
-- params: id, backup, audit_id, request_id
WITH found AS (
    SELECT tenant_id, id FROM server_backups
     WHERE tenant_id = {{tenant}} AND server_id = $1::uuid AND id = $2::uuid
), b AS (
    DELETE FROM server_backups
     WHERE tenant_id = {{tenant}} AND server_id = $1::uuid AND id = $2::uuid
       AND state IN ('Succeeded', 'Failed')
    RETURNING tenant_id, id, server_id
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT b.tenant_id, $3::uuid, {{key}}, 'server.backup.delete', b.server_id, $4,
           json_build_object('backup', b.id)::jsonb FROM b
    RETURNING id
)
SELECT b.id IS NOT NULL AS done
  FROM found
  LEFT JOIN b ON b.tenant_id = found.tenant_id AND b.id = found.id
  LEFT JOIN trail ON true;


-- == Metrics over time ==

-- Times in seconds of Unix time; means of every step that has values. No row:
-- no such server.
-- name: server_metrics
-- params: id, from, to, step
-- read-only
SELECT json_build_object(
           'from', to_timestamp($2::double precision), 'to', to_timestamp($3::double precision), 'step', $4::bigint,
           'items', coalesce((
               SELECT json_agg(json_build_object('time', p.time, 'cpu', p.cpu, 'memoryBytes', p.memory,
                                                 'storageBytes', p.storage, 'players', p.players,
                                                 'tps', p.tps, 'mspt', p.mspt) ORDER BY p.time)
                 FROM (SELECT to_timestamp(floor(extract(epoch FROM m.at) / $4::double precision) * $4::double precision) AS time,
                              round(avg(m.cpu)::numeric, 3) AS cpu, round(avg(m.memory_bytes)) AS memory,
                              round(avg(m.storage_bytes)) AS storage, max(m.players) AS players,
                              round(avg(m.tps)::numeric, 2) AS tps, round(avg(m.mspt)::numeric, 2) AS mspt
                         FROM server_metrics m
                        WHERE m.tenant_id = s.tenant_id AND m.server_id = s.id
                          AND m.at >= to_timestamp($2::double precision) AND m.at < to_timestamp($3::double precision)
                        GROUP BY 1) p), '[]'::json))
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}} AND s.id = $1::uuid
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL);


-- == Messages to sockets ==

-- No row: one of these servers is not there (an empty list: all are meant). A
-- key with servers of its own means those by all; it may not read the trail
-- that it leaves.
-- name: message_send
-- params: ids, topic, audit_id, request_id
WITH seen AS (
    SELECT count(*) AS n
      FROM servers s
     WHERE s.tenant_id = {{tenant}} AND s.deleted_at IS NULL
       AND s.id = ANY ($1::uuid[])
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, request_id, detail)
    SELECT {{tenant}}, $3::uuid, {{key}}, 'message.send', $4,
           json_build_object('topic', $2::text, 'servers', to_json($1::uuid[]))::jsonb
      FROM seen WHERE seen.n = coalesce(array_length($1::uuid[], 1), 0)
), a AS (
    SELECT $3::uuid AS id, to_json(now()) #>> '{}' AS time,
           CASE WHEN seen.n = 0 THEN array_to_string(nullif(current_setting('app.servers', true), '')::uuid[], ' ') END AS servers
      FROM seen
     WHERE seen.n = coalesce(array_length($1::uuid[], 1), 0) AND {{tenant}} IS NOT NULL
)
SELECT a.id, a.time, a.servers, {{remember}} FROM a;


-- == Idempotency-Key of what ends outside of the database ==

-- name: idempotency_answer
-- params: key, answer
UPDATE idempotency_keys SET answer = $2
 WHERE tenant_id = {{tenant}} AND owner = coalesce({{key}}, {{member}})::text AND key = $1 AND expires_at > now();


-- == Reconciler ==

-- name: reconciler_event
-- params: tenant_id, id, server_id, type, reason, message
INSERT INTO server_events (tenant_id, id, server_id, type, reason, message)
VALUES ($1::uuid, $2::uuid, $3::uuid, $4, $5, left($6, 1024))
ON CONFLICT (tenant_id, id) DO NOTHING;

-- Events are kept for 30 days; in batches, until no row is left.
-- name: reconciler_event_prune
-- params: limit
DELETE FROM server_events
 WHERE (tenant_id, id) IN (SELECT e.tenant_id, e.id FROM server_events e
                            WHERE e.at < now() - interval '30 days' ORDER BY e.at LIMIT $1::bigint);

-- What was not measured is NULL. cpu in cores.
-- name: reconciler_metric
-- params: tenant_id, server_id, cpu, memory_bytes, storage_bytes, players, tps, mspt
INSERT INTO server_metrics (tenant_id, server_id, at, cpu, memory_bytes, storage_bytes, players, tps, mspt)
VALUES ($1::uuid, $2::uuid, now(), $3::double precision, $4::bigint, $5::bigint, $6::bigint,
        $7::double precision, $8::double precision)
ON CONFLICT (tenant_id, server_id, at) DO NOTHING;

-- Metrics are kept for 14 days.
-- name: reconciler_metric_prune
-- params: limit
DELETE FROM server_metrics
 WHERE (tenant_id, server_id, at) IN (SELECT m.tenant_id, m.server_id, m.at FROM server_metrics m
                                       WHERE m.at < now() - interval '14 days' ORDER BY m.at LIMIT $1::bigint);
